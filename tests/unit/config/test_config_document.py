"""YAML as plain data with places: values, tags, anchors, and errors of a file."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.document import BROKEN, UNKNOWN_TAG, Document, leaves, read_document, show_place


def read(path: Path, text: str | bytes, env: Mapping[str, str] | None = None) -> Document:
    file = path / "some.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_document(file, "some.yaml", env or {})


def problems(document: Document) -> list[str]:
    return [str(problem) for problem in document.problems]


@pytest.mark.parametrize(
    ("yaml", "value"),
    [
        ("word", "word"),
        ("'null'", "null"),
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("12", 12),
        ("-3", -3),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("2027-01-31", "2027-01-31"),
        ("2027-01-31T00:00:00Z", "2027-01-31T00:00:00Z"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("12:30:00", "12:30:00"),
        ("=", "="),
        ('"two\\nlines"', "two\nlines"),
        ("[a, {b: 1}]", ["a", {"b": 1}]),
        ("{1: a, null: b, true: c}", {"1": "a", "null": "b", "true": "c"}),
    ],
)
def test_values(tmp_path: Path, yaml: str, value: Any) -> None:
    document = read(tmp_path, f"key: {yaml}\n")
    assert problems(document) == []
    assert document.data == {"key": value}
    assert type(document.data["key"]) is type(value)


def test_not_a_number_is_a_float(tmp_path: Path) -> None:
    assert math.isnan(read(tmp_path, "key: .nan").data["key"])


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\ufeff", "null"])
def test_an_empty_file_is_empty(tmp_path: Path, text: str) -> None:
    document = read(tmp_path, text)
    assert problems(document) == []
    assert not document.data


def test_each_place_has_its_line(tmp_path: Path) -> None:
    document = read(tmp_path, "# first\na:\n  b: 1\n\n  c:\n    - x\n    - d: 2\n      e:\n        3\n")
    lines = {show_place(place): line for place, line in document.lines.items()}
    assert lines == {"": 2, "a": 2, "a.b": 3, "a.c": 5, "a.c[0]": 6, "a.c[1]": 7, "a.c[1].d": 7, "a.c[1].e": 8}


def test_a_place_that_is_not_there_has_the_line_of_what_would_hold_it(tmp_path: Path) -> None:
    document = read(tmp_path, "a:\n\n  b: {c: 1}\n")
    assert document.line(("a", "b", "missing")) == 3
    assert document.line(("a", "b", "c", 4, "deeper")) == 3
    assert document.line(("elsewhere",)) == 1


# -- !env and !file


def test_env_and_file_give_text(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "secret").write_text("from a file\r\n\n")
    document = read(tmp_path, 'a: !env NAME\nb: [!file sub/secret, !env "N2"]\n', {"NAME": "12", "N2": " x "})
    assert problems(document) == []
    assert document.data == {"a": "12", "b": ["from a file", " x "]}
    assert document.texts == {("a",): "12", ("b", 0): "from a file", ("b", 1): " x "}


def test_an_absolute_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("text")
    assert read(tmp_path, f"a: !file {tmp_path}/secret").data == {"a": "text"}


HIDDEN = "it is not shown, because it may be the secret itself"
HIDDEN_VARIABLE = f"!env expects the name of an environment variable, and there is none of this name; {HIDDEN}"
HIDDEN_PATH = f"!file expects the path of a file, and there is none of this name; {HIDDEN} "
HIDDEN_PATH += "(write ./NAME for a file beside this one)"


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("!env UNSET", "the environment variable UNSET is not set"),
        ("!env EMPTY", "the environment variable EMPTY is empty"),
        ("!env 'not a name'", "!env expects the name of an environment variable"),
        ("!env", "!env expects the name of an environment variable"),
        (
            f"!env {'deadbeef' * 4}",
            "!env expects the name of an environment variable; this looks like a key itself",
        ),
        (f"!file {'deadbeef' * 4}", "!file expects the path of a file; this looks like a key itself"),
        ("!env [A]", "!env expects text"),
        ("!file {a: b}", "!file expects text"),
        ("!env unset", HIDDEN_VARIABLE),
        ("!env hunter2secret", HIDDEN_VARIABLE),
        ("!env Sup3rSecretPassw0rd", HIDDEN_VARIABLE),
        ("!env AKIAIOSFODNN7EXAMPLE", HIDDEN_VARIABLE),
        ("!env xoxb_1234_AbCdEfGhIjKlMn", HIDDEN_VARIABLE),
        ("!env correct_horse_battery", HIDDEN_VARIABLE),
        ("!file nowhere", HIDDEN_PATH),
        ("!file hunter2secret", HIDDEN_PATH),
        ("!file correct horse battery staple", HIDDEN_PATH),
        ("!file xoxb-1234567890-AbCdEfGhIjKlMnOp", HIDDEN_PATH),
        ("!file 'postgres://me:password@db/gateway'", HIDDEN_PATH),
        ("!file https://hooks.slack.com/services/T0/B0/AbCdEf1234567890", HIDDEN_PATH),
        ("!file aGVsbG8gd29ybGQ/c2VjcmV0MTIzNDU2Nzg5", HIDDEN_PATH),
        ("!file eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc", HIDDEN_PATH),
        ("!file ./nowhere", "can't read the file ./nowhere: No such file or directory"),
        ("!file keys/bookshop-2026.txt", "can't read the file keys/bookshop-2026.txt: No such file or directory"),
        ("!file marked", "the file marked begins with a byte order mark: save it as UTF-8 without it"),
        ("!file nowhere/secret", "can't read the file nowhere/secret: No such file or directory"),
        ("!file .", "can't read the file .: Is a directory"),
        ("!file empty", "the file empty is empty"),
        ("!file binary", "the file binary is not UTF-8 text"),
        ('!file "a\\0b"', "!file expects the path of a file"),
    ],
)
def test_env_and_file_that_give_nothing(tmp_path: Path, yaml: str, message: str) -> None:
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbfsecret")
    document = read(tmp_path, f"first: 1\nsecond:\n  third: {yaml}\n", {"EMPTY": ""})
    assert problems(document) == [f"some.yaml:3: second.third: {message}"]
    assert document.is_broken(("second", "third"))
    assert document.is_broken(("second",))
    assert document.is_broken(("second", "third", "below"))
    assert not document.is_broken(("first",))


# -- anchors


def test_anchors_are_followed_to_where_the_text_stands(tmp_path: Path) -> None:
    document = read(tmp_path, "a: &x\n  b: 1\nc: *x\n")
    assert document.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.line(("c",)) == 3
    assert document.line(("c", "b")) == 2


def test_merged_mappings_give_way_to_what_stands_there(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2, w: !env UNSET}\nc:\n  <<: [*a, *b]\n  w: 3\n"
    document = read(tmp_path, text)
    assert document.data["c"] == {"x": 1, "y": 1, "z": 2, "w": 3}
    assert problems(document) == ["some.yaml:2: b.w: the environment variable UNSET is not set"]
    assert document.line(("c", "z")) == 2


def test_an_anchor_may_be_used_again(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &x 1\nb: &x 2\nc: *x\n").data == {"a": 1, "b": 2, "c": 2}


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]\n",
        "a: " + "[" * 5000 + "]" * 5000,
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
    ],
    ids=["in itself", "deep", "grows"],
)
def test_endless_aliases_are_refused(tmp_path: Path, text: str) -> None:
    assert problems(read(tmp_path, text)) == ["some.yaml:1: nested too deeply, or too large"]


# -- errors of a file


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: \x01\n", "some.yaml:2: not YAML: a character that YAML does not allow"),
        (b"a: 1\nb: 2\nc: \xff\n", "some.yaml:3: the file is not UTF-8 text"),
        ("a: 1\nb: 2\na: 3\n", "some.yaml:3: a: defined twice, first on line 1; names must be unique"),
        ("a: {b: 1,\n b: 2}\n", "some.yaml:2: a.b: defined twice, first on line 1; names must be unique"),
        ("a: !secret x\n", "some.yaml:1: a: " + UNKNOWN_TAG),
        ("a: !!python/object:os.system x\n", "some.yaml:1: a: " + UNKNOWN_TAG),
        ("a: !!set {x, y}\n", "some.yaml:1: a: " + UNKNOWN_TAG),
        ("a: !!int word\n", "some.yaml:1: a: not a valid value of its type"),
        ("a: !!bool word\n", "some.yaml:1: a: not a valid value of its type"),
        ("a:\n  [x, y]: 1\n", "some.yaml:2: a: a name must be plain text"),
        ("a: 1\n!env X: 1\n", "some.yaml:2: a name must be plain text"),
        ("a:\n  <<: 5\n", "some.yaml:2: a: << expects a mapping"),
    ],
)
def test_an_error_has_its_line(tmp_path: Path, text: str | bytes, problem: str) -> None:
    assert problems(read(tmp_path, text)) == [problem]


INDENT = "look at the indentation"
DASHES = f"{INDENT} and at the '- '"
WRONG = {
    "a:\n  b:\n    c: 1\n   d: 2\n": (4, f"{INDENT}: the line does not fit the part that begins in line 2"),
    "a:\n  - b: 1\n    c: 2\n   d: 3\n": (4, f"{INDENT}: the line does not fit the part that begins in line 2"),
    "a: 1\n\n# note\n b: 2\n": (4, f"{INDENT}: the line is deeper than line 1, which has a value already"),
    "a:\n  b: 1\nc: 2\n  d: 3\n": (4, f"{INDENT}: the line is deeper than line 3, which has a value already"),
    "  a: 1\nb: 2\n": (2, f"{INDENT}: the line is not as deep as the first one"),
    "a:\n  b:\n    - x\n   - y\n": (4, f"{DASHES}: line 2 begins a part that this line does not continue"),
    "a:\n  - b\n  c: d\n": (3, f"{DASHES}: line 2 begins a list, and this line is no entry of it"),
    "a:\n  b: c\n  - d\n": (3, f"{DASHES}: line 2 begins a part that this line does not continue"),
    "a:\n\tb: 1\n": (2, "a tab: indent with spaces, not with tabs"),
    "a:\n  b: 1\n\tc: 2\n": (3, "a tab: indent with spaces, not with tabs"),
    "a: 1\nb: 'x\n" + "c: 2\n" * 70: (2, "a quotation mark opens here and is never closed"),
    'a: 1\nb: [1, "x]\nc: 2\n': (2, "a quotation mark opens here and is never closed"),
    "a: 'x # note\nb: 2\n": (1, "a quotation mark opens here and is never closed"),
    "a: 'x\nb: 2\nc: 'y'\n": (1, "a quotation mark opens here and is closed only in line 3: one is missing"),
    'a: "x\nb: "y"\n': (1, "a quotation mark opens here and is closed only in line 2: one is missing"),
    "a: 1\nb: 'it's'\n": (
        2,
        "text follows a closing quotation mark: double the mark inside the text, or remove the quotes",
    ),
    'a: "C:\\path"\n': (1, "in double quotes a backslash begins an escape: use single quotes"),
    "a: 1\nb: [1\nc: 2\n": (3, "the '[' of line 2 is not closed by ']', or a ',' is missing"),
    "a: {b: 1\nc: 2\n": (2, "the '{' of line 1 is not closed by '}', or a ',' is missing"),
    "a: {b: 1 c: 2}\n": (1, "the '{' is not closed by '}', or a ',' is missing"),
    "a: [1]]\n": (1, "a ']' too many"),
    "a: {b: 1}}\n": (1, "a '}' too many"),
    "a: {b: 1,, c: 2}\n": (1, "a value is missing, or a ',' is too many"),
    "a:\n  b 1\n  c: 2\n": (2, "the line has no ':' between name and value"),
    "a: 1\nb\nc: 2\n": (2, "the line has no ':' between name and value"),
    "a:1\nb: 2\n": (1, "the line needs a space after the ':'"),
    "a: b: c\n": (1, "a second ': ' in one line: put the value in quotes"),
    "a: @b\n": (1, "a value that begins with this sign must be in quotes"),
    "a: [*]\n": (1, "a value that begins with * or & must be in quotes"),
    "a: b\n\nc: *nope\n": (3, "a value that begins with * must be in quotes; there is no anchor of this name"),
    "a: 1\n--- \nb: 2\n": (2, "one document a file: remove the line '---'"),
}


@pytest.mark.parametrize("text", WRONG)
def test_an_error_of_yaml_tells_where_it_began_and_what_to_look_at(tmp_path: Path, text: str) -> None:
    line, message = WRONG[text]
    assert problems(read(tmp_path, text)) == [f"some.yaml:{line}: not YAML: {message}"]


@pytest.mark.parametrize("text", ["a: [*{}]", "a: [!{} x]", "a: !{}", "a: &{} 1\nb: &{} [", "{}: [", "a: '{}"])
def test_an_error_does_not_quote_the_file(tmp_path: Path, text: str) -> None:
    secret = "hunter2hunter2"
    found = problems(read(tmp_path, text.replace("{}", secret)))
    assert found
    assert secret not in "".join(found)


@given(text=st.text(alphabet=" \n\t:-[]{}&*!%?|>'\"#,ab1<=.~@", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        document = read(Path(folder), text, {"a": "x"})
    assert document.data is not BROKEN or document.problems
    assert all(problem.line >= 1 for problem in document.problems)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    document = read_document(tmp_path / "nowhere.yaml", "nowhere.yaml", {})
    assert problems(document) == ["nowhere.yaml: can't be read: No such file or directory"]


def test_leaves_are_all_values_at_any_depth() -> None:
    assert list(leaves({"a": [1, {"b": None}], "c": {"d": ()}, "e": "xy"})) == [1, None, "xy"]
