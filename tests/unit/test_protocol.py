"""The protocol: every type of the vendor's document, and payloads that are no signal."""

import re
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import exact_json, model, protocol, signal_types
from gateway.errors import InvalidSignal
from tests.support.payloads import DELIVERY, EXAMPLES, SANDBOX, VENDOR, example

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ORDER = {"order", "order_reference", "datetime"}
ITEM = ORDER | {"item", "item_reference"}
SHIPMENT = {"tracking", "shipping_option"}

# The vendor's tables once more, so that a slip in the product's table shows.
DOCUMENT = {
    "CloudprinterOrderValidated": (ORDER, set()),
    "CloudprinterOrderCanceled": (ORDER | {"cause", "message"}, set()),
    "ItemValidated": (ITEM, set()),
    "ItemProduce": (ITEM, set()),
    "ItemProduced": (ITEM, set()),
    "ItemPacked": (ITEM, set()),
    "ItemShipped": (ITEM | SHIPMENT, {"url"}),
    "ItemError": (ITEM, {"cause", "delay"}),
    "ItemCanceled": (ITEM, {"cause", "message"}),
    "ItemDeliveryStarted": (ITEM, SHIPMENT | {"url", "cause", "message"}),
    "ItemDeliveryCompleted": (ITEM, SHIPMENT | {"url", "cause", "message"}),
    "ItemDeliveryFailed": (ITEM, SHIPMENT | {"url", "cause", "message"}),
}
REQUIRED = [(name, field) for name, (required, _) in DOCUMENT.items() for field in sorted(required)]
OPTIONAL = [(name, field) for name, (_, optional) in DOCUMENT.items() for field in sorted(optional)]


def parse(payload: dict[str, Any]) -> model.Signal:
    return protocol.parse("bookshop", payload, NOW)


def errors_of(payload: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidSignal) as caught:
        parse(payload)
    return caught.value.fields


# -- the types


def test_the_gateways_own_type_is_not_taken_from_outside() -> None:
    own = {"type": signal_types.GATEWAY_ALERT, "state": "cleared", "severity": "warning", "message": "all is well"}
    assert errors_of(own) == {"type": "is of the gateway's own signals, and not taken from outside"}


def test_the_table_equals_the_vendors_document() -> None:
    found = {name: (set(row.required), set(row.optional)) for name, row in signal_types.TYPES.items()}
    assert found == DOCUMENT
    assert set(VENDOR) | set(DELIVERY) == set(DOCUMENT)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_a_signal(name: str) -> None:
    signal = parse(EXAMPLES[name])
    assert signal.type == name
    assert (signal.order, signal.order_reference) == ("123456780000", "654321")
    item = name.startswith("Item")
    assert (signal.item, signal.item_reference) == (("123456780001", "321") if item else (None, None))
    assert signal.occurred_at == datetime(2017, 1, 21, 13, 23, 42, tzinfo=UTC)
    assert signal.received_at == NOW
    assert signal.payload == EXAMPLES[name]
    assert signal.account == "bookshop"
    assert re.fullmatch("[0-9a-f]{32}", signal.identity)


def test_the_sandboxs_signal_is_one() -> None:
    signal = parse(SANDBOX)
    assert (signal.order, signal.item) == ("21034900000000", "21034901040001")
    assert signal.text("tracking") == "SANDBOX_99"


@pytest.mark.parametrize(("name", "field"), REQUIRED)
def test_a_required_parameter_must_not_be_missing_or_empty(name: str, field: str) -> None:
    assert errors_of(example(name, **{field: ...})) == {field: "required"}
    assert errors_of(example(name, **{field: None})) == {field: "must not be null"}
    assert errors_of(example(name, **{field: ""})) == {field: "must not be empty"}
    assert errors_of(example(name, **{field: " \t"})) == {field: "must not be empty"}


@pytest.mark.parametrize(("name", "field"), REQUIRED + OPTIONAL)
@pytest.mark.parametrize("value", [True, 1.5, [], {}, ["x"], {"x": "y"}], ids=repr)
def test_a_parameter_must_be_text(name: str, field: str, value: object) -> None:
    fields = errors_of(example(name, **{field: value}))
    assert list(fields) == [field]
    fraction = value == 1.5 and field not in ("datetime", "url")
    assert fields[field] == ("must be text or a whole number" if fraction else "must be text")


@pytest.mark.parametrize(("name", "field"), OPTIONAL)
@pytest.mark.parametrize("value", [..., None, "", " \t", "x"], ids=repr)
def test_an_optional_parameter_may_be_missing_or_empty(name: str, field: str, value: object) -> None:
    payload = example(name, **{field: value})
    assert parse(payload).payload == payload


def test_all_wrong_parameters_are_named_at_once() -> None:
    assert errors_of(example(order=..., item=None, tracking=[], datetime="yesterday", url=5)) == {
        "order": "required",
        "item": "must not be null",
        "tracking": "must be text",
        "datetime": "must be an ISO 8601 date and time",
        "url": "must be text",
    }


@pytest.mark.parametrize(("name", "field"), REQUIRED + OPTIONAL)
@pytest.mark.parametrize("value", ["hunter2" * 1000, ["hunter2"], {"hunter2": 1}], ids=["long", "list", "object"])
def test_no_message_holds_the_value(name: str, field: str, value: object) -> None:
    assert "hunter2" not in str(errors_of(example(name, **{field: value})))


@pytest.mark.parametrize(
    ("field", "limit"),
    [("order", 255), ("item", 255), ("tracking", 255), ("url", 2048), ("cause", 4096), ("message", 4096)],
)
def test_parameters_have_a_limit(field: str, limit: int) -> None:
    assert parse(example("ItemDeliveryFailed", **{field: "x" * limit})).payload[field] == "x" * limit
    wrong = errors_of(example("ItemDeliveryFailed", **{field: "x" * (limit + 1)}))
    assert wrong == {field: f"must have at most {limit} characters"}


@pytest.mark.parametrize("field", protocol.IDS)
@pytest.mark.parametrize("text", ["a\0b", "a\nb", "\x7f"], ids=repr)
def test_ids_hold_no_control_characters(field: str, text: str) -> None:
    assert errors_of(example(**{field: text})) == {field: "must not contain control characters"}


@pytest.mark.parametrize("text", ["büch-1", "本", "a b", "a\u00a0b", "😀"])
def test_ids_may_be_any_other_text(text: str) -> None:
    assert parse(example(order=text)).order == text


# -- incomplete signals


def parse_incomplete(payload: dict[str, Any]) -> model.Signal:
    return protocol.parse("bookshop", payload, NOW, incomplete=True)


@pytest.mark.parametrize(("name", "field"), REQUIRED)
@pytest.mark.parametrize("value", [..., None, "", " \t"], ids=repr)
def test_an_incomplete_signal_is_taken_if_the_account_wants_it(name: str, field: str, value: object) -> None:
    payload = example(name, **{field: value})
    signal = parse_incomplete(payload)
    assert signal.missing == (field,)
    assert signal.text(field).strip() == ""
    assert signal.payload == payload
    whole = parse(example(name))
    assert {id: getattr(signal, id) or "" for id in protocol.IDS} == {
        id: "" if id == field else getattr(whole, id) or "" for id in protocol.IDS
    }
    assert signal.occurred_at == (None if field == "datetime" else whole.occurred_at)
    assert signal.identity == parse_incomplete(payload).identity != whole.identity


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_whole_signal_is_not_incomplete(name: str) -> None:
    assert parse_incomplete(EXAMPLES[name]) == parse(EXAMPLES[name])
    assert parse_incomplete(EXAMPLES[name]).missing == ()


@pytest.mark.parametrize("name", EXAMPLES)
def test_only_the_type_must_be_there(name: str) -> None:
    signal = parse_incomplete({"type": name})
    assert set(signal.missing) == DOCUMENT[name][0]
    assert (signal.order, signal.order_reference, signal.item, signal.occurred_at) == ("", "", None, None)
    with pytest.raises(InvalidSignal):
        parse_incomplete(example(name, type=...))


@pytest.mark.parametrize(("name", "field"), REQUIRED + OPTIONAL)
def test_an_incomplete_signals_wrong_values_are_named(name: str, field: str) -> None:
    with pytest.raises(InvalidSignal) as caught:
        parse_incomplete(example(name, **{field: ["x"]}))
    assert caught.value.fields == {field: "must be text"}


# -- numbers for ids


@pytest.mark.parametrize("field", protocol.IDS)
def test_an_integer_for_an_id_is_text_and_the_payload_as_sent(field: str) -> None:
    signal = parse(example(**{field: 42}))
    assert getattr(signal, field) == "42"
    assert signal.payload[field] == 42
    assert signal.identity == parse(example(**{field: "42"})).identity


def test_a_retry_with_numbers_is_the_same_signal() -> None:
    numbers = {"order": 123456780000, "item": 123456780001, "item_reference": 321}
    assert parse(example(**numbers)).identity == parse(example()).identity
    assert parse(example("ItemError", delay=24)).identity == parse(example("ItemError")).identity
    assert parse(example("ItemCanceled", cause=190)).cause == "190"


@pytest.mark.parametrize("field", ["tracking", "shipping_option", "message"])
def test_a_whole_number_for_other_text_is_text_too(field: str) -> None:
    signal = parse(example("ItemDeliveryFailed", **{field: 190}))
    assert (signal.text(field), signal.payload[field]) == ("190", 190)
    assert signal.identity == parse(example("ItemDeliveryFailed", **{field: "190"})).identity


def with_number(name: str, **lexemes: str) -> model.Signal:
    """Return the signal of a body in which these fields are numbers, spelled so."""
    members = "".join(f', "{field}": {text}' for field, text in lexemes.items())
    return parse(protocol.decode(orjson.dumps(example(name))[:-1] + members.encode() + b"}"))


@pytest.mark.parametrize("sent", ["24", "24.0", "24.00", "2.4e1", "240E-1"])
def test_a_whole_number_may_have_decimals(sent: str) -> None:
    signal = with_number("ItemError", delay=sent, item=sent)
    assert (signal.text("delay"), signal.item) == ("24", "24")
    assert exact_json.dumps(signal.payload["delay"]).decode() == sent


@pytest.mark.parametrize("sent", ["24.5", "24.10", "1e-7", "0.1000000000000000055", "1e9999999"])
def test_other_numbers_are_no_text(sent: str) -> None:
    with pytest.raises(InvalidSignal) as caught:
        with_number("ItemError", delay=sent, order=sent)
    assert caught.value.fields == dict.fromkeys(["order", "delay"], "must be text or a whole number")


def test_an_id_beyond_64_bits_keeps_its_digits() -> None:
    signal = with_number("ItemShipped", order="9400111899223197428490", tracking="9400111899223197428491")
    assert (signal.order, signal.text("tracking")) == ("9400111899223197428490", "9400111899223197428491")
    text = example(order="9400111899223197428490", tracking="9400111899223197428491")
    assert signal.identity == parse(text).identity, "a retry may send it as text"
    with pytest.raises(InvalidSignal) as caught:
        with_number("ItemShipped", order="1" * 256, tracking="1e300")
    assert set(caught.value.fields.values()) == {"must have at most 255 characters"}


LOOK_ALIKES = [
    ["9400111899223197428490", "9400111899223197428491", "9.400111899223197428490e21"],
    ["1", "1.0", "1.00", "1e0", "true", '"1"'],
    ["0", "-0", "0.0", "-0.0", "0e0"],
    ["24.1", "24.10", "24.100", '"24.10"'],
    ["0.1", "0.1000000000000000055", "1e-1"],
    ["1e400", "2e400", "1E400", "1e+400", "null"],
    ["18446744073709551616", "18446744073709551615", "18446744073709551617"],
]
"""Numbers that a double makes equal, or that have another meaning as JSON."""


@pytest.mark.parametrize("numbers", LOOK_ALIKES, ids=lambda numbers: numbers[0])
@pytest.mark.parametrize("form", ["%s", "[1, %s]", '{"deep": [{"x": %s}]}'])
def test_signals_that_differ_in_a_numbers_digits_are_different(form: str, numbers: list[str]) -> None:
    assert len({with_number("ItemPacked", parcel=form % number).identity for number in numbers}) == len(numbers)
    for number in numbers:
        one, again = (with_number("ItemPacked", parcel=form % number) for _ in range(2))
        assert one.identity == again.identity


def test_decimals_of_a_parameter_count_in_the_identity() -> None:
    assert len({with_number("ItemError", delay=sent).identity for sent in ("24", "24.0", "24.00", "25")}) == 4


def test_the_identity_of_other_signals_is_as_it_always_was() -> None:
    assert parse(example()).identity == "13569d973089a10737d193aa76f4158b"
    assert (
        parse(example(weight=2.5, parcels=[1, {"n": 18446744073709551615}])).identity
        == "7b1b69e1c62a5f87458e16574c846bef"
    )


def test_other_content_is_another_signal() -> None:
    identities = {
        parse(example()).identity,
        parse(example(tracking="other")).identity,
        parse(example(new_field="x")).identity,
        parse(example(datetime="2017-01-21T14:23:42+01:00")).identity,
        protocol.parse("printshop", example(), NOW).identity,
    }
    assert len(identities) == 5


def test_the_order_of_fields_does_not_change_the_identity() -> None:
    assert parse(dict(reversed(example().items()))).identity == parse(example()).identity


# -- fields and types that are not known


def test_unknown_fields_are_kept() -> None:
    payload = example(carrier={"name": "GLS", "legs": [1, 2.5, None]}, x=None)
    assert parse(payload).payload == payload


def test_an_orders_signal_may_name_an_item() -> None:
    assert parse(example("CloudprinterOrderValidated", item=7)).item == "7"
    assert parse(example("CloudprinterOrderValidated", item=[7])).item is None


def test_an_unknown_types_valid_fields_are_used() -> None:
    signal = parse({"type": "ItemReturned", "order": 5, "item": "6", "datetime": "2017-01-21T13:23:42+0100", "x": [1]})
    assert (signal.type, signal.order, signal.item) == ("ItemReturned", "5", "6")
    assert signal.occurred_at == datetime(2017, 1, 21, 12, 23, 42, tzinfo=UTC)
    assert signal.payload["order"] == 5
    retry = {**signal.payload, "order": "5"}
    assert parse(retry).identity == signal.identity


@pytest.mark.parametrize("junk", [None, "", [], {}, 1.5, True, "x" * 5000, "\0"], ids=lambda v: repr(v)[:10])
def test_an_unknown_types_invalid_fields_are_ignored(junk: object) -> None:
    payload = {"type": "New", **dict.fromkeys((*protocol.IDS, "datetime"), junk)}
    signal = parse(payload)
    assert (signal.order, signal.order_reference, signal.item, signal.occurred_at) == ("", "", None, None)
    assert signal.at == NOW
    assert signal.payload == payload


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (..., "required"),
        (None, "must not be null"),
        ("", "must not be empty"),
        (5, "must be text"),
        (["ItemShipped"], "must be text"),
        ({}, "must be text"),
        ("x" * 65, "must have at most 64 characters"),
        ("a\0", "must not contain control characters"),
    ],
)
def test_the_type_must_be_text(value: object, message: str) -> None:
    assert errors_of(example(type=value)) == {"type": message}


# -- datetime


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2017-01-21T13:23:42+00:00", (2017, 1, 21, 13, 23, 42)),
        ("2017-01-21T13:23:42+0100", (2017, 1, 21, 12, 23, 42)),
        ("2017-01-21T13:23:42-05:30", (2017, 1, 21, 18, 53, 42)),
        ("2017-01-21T13:23:42Z", (2017, 1, 21, 13, 23, 42)),
        ("2017-01-21T00:30:00+01:00", (2017, 1, 20, 23, 30, 0)),
        ("2017-01-21T13:23:42.5+00:00", (2017, 1, 21, 13, 23, 42, 500000)),
        ("2017-01-21T13:23:42.123456789Z", (2017, 1, 21, 13, 23, 42, 123456)),
        ("2017-01-21 13:23:42+00:00", (2017, 1, 21, 13, 23, 42)),
    ],
)
def test_a_datetime_becomes_utc_and_its_text_is_kept(text: str, moment: tuple[int, ...]) -> None:
    signal = parse(example(datetime=text))
    assert signal.occurred_at == datetime(*moment, tzinfo=UTC)
    assert signal.occurred_at.tzinfo is UTC
    assert signal.payload["datetime"] == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2017-01-21T13:23:42", "must have an offset from UTC, such as +00:00"),
        ("2017-01-21", "must have an offset from UTC, such as +00:00"),
        ("yesterday", "must be an ISO 8601 date and time"),
        ("2017-02-30T00:00:00Z", "must be an ISO 8601 date and time"),
        ("2017-01-21T13:23:42+99:00", "must be an ISO 8601 date and time"),
        ("1485005022", "must be an ISO 8601 date and time"),
        ("0001-01-01T00:00:00+14:00", "is out of range"),
        ("9999-12-31T23:59:59-14:00", "is out of range"),
        (1485005022, "must be text"),
        ("2017-01-21T13:23:42Z" * 9, "must have at most 64 characters"),
    ],
)
def test_an_invalid_datetime_is_named(value: object, message: str) -> None:
    assert errors_of(example(datetime=value)) == {"datetime": message}


# -- JSON


def test_a_body_is_decoded() -> None:
    assert protocol.decode(b' {"a": "\xc3\xbc", "b": [1]} ') == {"a": "ü", "b": [1]}
    assert protocol.decode(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert protocol.decode(b'{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"\xef\xbb\xbf",
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b'{"a": "\x00"}',
        b'{"a": 1,}',
        b"{'a': 1}",
        b'{"a": 1} {"b": 2}',
        "{}".encode("utf-16"),
        b"apikey=x&type=y",
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b"[" * 60_000,
        b"[]",
        b"null",
        b"1",
        b'"text"',
        b"\x1f\x8b\x08",
    ],
    ids=lambda body: repr(body[:14]),
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidSignal) as caught:
        protocol.decode(body)
    assert list(caught.value.fields) == ["body"]


def test_a_json_error_has_the_position_but_no_content() -> None:
    with pytest.raises(InvalidSignal) as caught:
        protocol.decode(b'{"apikey": "hunter2",\n x}')
    assert caught.value.fields == {"body": "not valid JSON in UTF-8 (line 2, column 2)"}
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
fields = st.sampled_from(["type", *protocol.PARAMETERS]) | st.text()


def errors_or_signal(payload: dict[str, Any]) -> dict[str, str] | model.Signal:
    try:
        return parse(protocol.decode(orjson.dumps(payload)))
    except InvalidSignal as error:
        return error.fields


@given(st.sampled_from(sorted(EXAMPLES)), st.dictionaries(fields, json_values | st.just(...), max_size=5))
def test_mutated_payloads_are_signals_or_named_errors(name: str, changes: dict[str, Any]) -> None:
    payload = example(name, **changes)
    found = errors_or_signal(payload)
    if isinstance(found, model.Signal):
        assert orjson.loads(orjson.dumps(found.payload)) == payload
    else:
        assert set(found) <= {"type", *protocol.PARAMETERS}
        assert found


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_an_error(body: bytes) -> None:
    try:
        found = protocol.decode(body)
    except InvalidSignal as error:
        found = error.fields
    assert isinstance(found, dict)
