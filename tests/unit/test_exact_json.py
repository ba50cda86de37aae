"""Numbers of JSON come back with the digits they were sent with."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import exact_json
from gateway.exact_json import Number

CHANGED = [
    "9400111899223197428490",
    "18446744073709551616",
    "-9223372036854775809",
    "1e400",
    "-1E+400",
    "1e-400",
    "1e999999999999",
    "0.1000000000000000055",
    "24.10",
    "1.00",
    "-0",
    "0e0",
    "1E5",
    "100e-2",
    "7" * 5000,
]
"""Numbers that int or float would change."""
UNCHANGED = ["0", "1", "-1", "18446744073709551615", "-9223372036854775808", "1.0", "-0.0", "24.5", "0.1", "5e-324"]

digits = st.text("0123456789", min_size=1, max_size=25)
lexemes = st.builds(
    lambda sign, whole, fraction, exponent: f"{sign}{whole.lstrip('0') or '0'}{fraction}{exponent}",
    st.sampled_from(["", "-"]),
    digits,
    st.just("") | digits.map(lambda text: f".{text}"),
    st.just("") | st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), digits),
)
"""Every form of a number that JSON has."""
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
documents = st.recursive(
    lexemes | st.sampled_from(["null", "true", "false"]) | TEXT.map(json.dumps),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda values: f"[{','.join(values)}]")
        | st.dictionaries(TEXT.map(lambda name: orjson.dumps(name).decode()), inner, max_size=4).map(
            lambda members: "{" + ",".join(f"{name}:{value}" for name, value in members.items()) + "}"
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("form", ['{"a":%s}', '{"a":[%s,"x"]}', '{"a":{"b":[1,%s]}}', '{"a":"x","b":%s}'])
@pytest.mark.parametrize("number", CHANGED + UNCHANGED, ids=lambda text: text[:25])
def test_a_number_is_written_as_it_was_read(form: str, number: str) -> None:
    text = form % number
    assert exact_json.dumps(exact_json.loads(text)).decode() == text


@pytest.mark.parametrize("number", CHANGED, ids=lambda text: text[:25])
def test_a_number_that_would_change_is_text_to_those_who_do_not_know_it(number: str) -> None:
    value = exact_json.loads(f'{{"a": \n {number} }}')["a"]
    assert type(value) is Number
    assert value == number
    assert orjson.loads(orjson.dumps([value])) == json.loads(json.dumps([value])) == [number]


@pytest.mark.parametrize("number", UNCHANGED)
def test_other_numbers_are_ints_and_floats(number: str) -> None:
    assert type(exact_json.loads(f"[{number}]")[0]) in (int, float)


@given(lexemes, st.sampled_from(["", " ", "\n\t"]))
def test_no_digit_is_ever_lost(number: str, space: str) -> None:
    value = exact_json.loads(f'{{"a":{space}{number}{space}, "b":[{space}{number}{space}]}}')
    assert exact_json.dumps(value).decode() == f'{{"a":{number},"b":[{number}]}}'


@given(documents)
def test_a_document_read_and_written_has_the_same_numbers(text: str) -> None:
    as_text = json.JSONDecoder(parse_int=Number, parse_float=Number).decode
    assert as_text(exact_json.dumps(exact_json.loads(text)).decode()) == as_text(text)


JUNK = [b"", b"x", b",", b"\xff", b"\\ud800", b"NaN", b'"', b"01", b"1."]


@given(documents, st.integers(0, 200), st.sampled_from(JUNK))
def test_it_accepts_what_orjson_accepts(text: str, at: int, junk: bytes) -> None:
    """Apart from numbers beyond a double, such as 1e400."""
    data = text.encode()
    data = data[:at] + junk + data[at:]
    try:
        expected: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        expected = None
    try:
        found = exact_json.load_rounded(data)
    except json.JSONDecodeError:
        assert expected is None
        return
    restored = exact_json.restore_numbers(found, data)
    assert expected is None or exact_json.load_rounded(exact_json.dumps(restored)) == expected


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1e400, "b": NaN}',
        b'{"a": 1e400, "b": -Infinity}',
        b'{"a": 1e400, "b": "\\ud800"}',
        b'{"a": 1e400, "\\uDC00": 1}',
        b'{"a": 1e400, "b": "\xff"}',
        b'{"a": 1e400, "b": "\n"}',
        b'{"a": 1e400, }',
        b'{"a": 1e400} {}',
        b'{"a": 01e400}',
        b'{"a": 1.e400}',
        b'{"a": +1e400}',
        b'{"a": .1e400, "b": 1e400}',
        b'{"a": 1e400, "b": ' + b"[" * 100_000,
        b'{"a": 1e400, "b": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
    ids=lambda text: repr(text[12:35]),
)
def test_a_large_number_lets_nothing_else_pass(text: bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        exact_json.load_rounded(text)


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert exact_json.loads(b'{"a": 1e400, "b": "\\ud83d\\ude00"}') == {"a": "1e400", "b": "😀"}


def test_an_error_has_its_place() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        exact_json.loads(b'{"a": 1e400,\n x}')
    assert (caught.value.lineno, caught.value.colno) == (2, 2)


def test_numbers_are_written_at_any_depth_that_orjson_writes() -> None:
    text = "[" * 253 + "1e400" + "]" * 253
    assert exact_json.dumps(exact_json.loads(text)).decode() == text


def test_other_values_are_converted_or_refused() -> None:
    class Words(str):
        pass

    class Fields(dict[str, int]):
        pass

    assert exact_json.dumps([Words("a"), Fields(b=1), Number("-0")]) == b'["a",{"b":1},-0]'
    assert exact_json.dumps([{1}, Number("-0")], default=sorted) == b"[[1],-0]"
    with pytest.raises(TypeError, match="set"):
        exact_json.dumps({1})


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (24, "24"),
        (24.0, "24"),
        (Number("24.00"), "24"),
        (Number("2.4e1"), "24"),
        (Number("240e-1"), "24"),
        (Number("0.24E+2"), "24"),
        (-5, "-5"),
        (Number("-5.0"), "-5"),
        (0, "0"),
        (-0.0, "0"),
        (Number("-0"), "0"),
        (Number("0e99"), "0"),
        (1e16, "10000000000000000"),
        (Number("9400111899223197428490"), "9400111899223197428490"),
        (Number("1e3"), "1000"),
        (24.5, None),
        (Number("24.10"), None),
        (Number("1e-400"), None),
        (Number("1e999999999999"), None),
        (Number("-1e5001"), None),
        (True, None),
        ("24", None),
        (None, None),
        ([24], None),
    ],
    ids=repr,
)
def test_a_whole_number_has_digits(value: object, whole: str | None) -> None:
    assert exact_json.whole_digits(value) == whole
