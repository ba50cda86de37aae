"""Validators of single settings: the values that they accept, and messages without the value."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import voluptuous as vol
from hypothesis import given
from hypothesis import strategies as st

from gateway import validators
from gateway.config import setting_values as values
from gateway.config.schema import KeyEntry

KEY_ENTRY = KeyEntry()

GOOD: list[tuple[Callable[[Any], Any], Any, Any]] = [
    (values.text, "word", "word"),
    (values.label, "old key", "old key"),
    (values.name, "a", "a"),
    (values.name, "0book_shop-2", "0book_shop-2"),
    (values.name, "a" * 64, "a" * 64),
    (validators.flag, True, True),
    (validators.flag, "false", False),
    (validators.number, 2, 2.0),
    (validators.number, "2.5", 2.5),
    (values.whole(1, 10), 10, 10),
    (values.whole(1, 10), "1", 1),
    (values.positive, 0.5, 0.5),
    (values.at_least_one, 1, 1.0),
    (validators.duration, 30, 30.0),
    (validators.duration, "30", 30.0),
    (validators.duration, 0, 0.0),
    (validators.duration, "30s", 30.0),
    (validators.duration, "15m", 900.0),
    (validators.duration, "1.5h", 5400.0),
    (validators.duration, "90d", 7776000.0),
    (values.retention, "7d", 604800.0),
    (values.retention, 604801, 604801.0),
    (validators.one_of("json", "console"), "json", "json"),
    (values.address, "127.0.0.1:8080", values.Address("127.0.0.1", 8080)),
    (values.address, "localhost:0", values.Address("localhost", 0)),
    (values.address, "[::1]:8080", values.Address("::1", 8080)),
    (values.address, "[::]:80", values.Address("::", 80)),
    (values.address, "unix:/run/gateway.sock", values.Address("/run/gateway.sock", None)),
    (values.address, "unix:gateway.sock", values.Address("gateway.sock", None)),
    (values.public_url, "https://hooks.example.com/", "https://hooks.example.com"),
    (values.public_url, "http://[::1]:8080/prefix", "http://[::1]:8080/prefix"),
    (values.addresses, "a:1", (("a", 1),)),
    (values.addresses, ["a:0", "a:0", "unix:/x"], (("a", 0), ("a", 0), ("/x", None))),
    (values.socket_mode, "0660", 0o660),
    (values.socket_mode, 660, 0o660),
    (values.socket_mode, "777", 0o777),
    (values.address, "gateway.example.com:65535", values.Address("gateway.example.com", 65535)),
    (values.network, "10.0.0.0/8", "10.0.0.0/8"),
    (values.network, "10.1.2.3/8", "10.0.0.0/8"),
    (values.network, "127.0.0.1", "127.0.0.1/32"),
    (values.network, "::1", "::1/128"),
    (values.signal_type, "ItemShipped", "ItemShipped"),
    (values.signal_type, "ItemDeliveryFailed", "ItemDeliveryFailed"),
    (values.signal_type, "*", "*"),
    (values.key_text, "a-key-of-the-shop", "a-key-of-the-shop"),
    (values.sha256, "0F" * 32, b"\x0f" * 32),
    (values.moment, "2027-01-31T01:00:00+01:00", datetime(2027, 1, 31, tzinfo=UTC)),
    (values.moment, "2027-01-31T00:00:00Z", datetime(2027, 1, 31, tzinfo=UTC)),
    (values.mapping, None, {}),
    (values.mapping, {"a": 1}, {"a": 1}),
    (validators.ListOf(values.text), [], ()),
    (validators.ListOf(values.text), None, ()),
    (validators.ListOf(values.text), ["a", "b"], ("a", "b")),
    (validators.ListOf(values.text), "a", ("a",)),
    (KEY_ENTRY, "a-key-of-the-shop", {"key": "a-key-of-the-shop"}),
    (KEY_ENTRY, {"key": "a-key-of-the-shop", "label": "x"}, {"key": "a-key-of-the-shop", "label": "x"}),
    (KEY_ENTRY, {"sha256": "00" * 32}, {"sha256": bytes(32)}),
]


@pytest.mark.parametrize(("check", "value", "result"), GOOD)
def test_valid_values(check: Callable[[Any], Any], value: Any, result: Any) -> None:
    assert check(value) == result
    assert type(check(value)) is type(result)


QUOTES = "expected text; put it in quotes"
DURATION = "expected a duration such as 30s, 15m, 48h or 7d, or a number of seconds"
RETENTION = "expected at least 7d: the sender repeats signals for 7 days, and a removed one would be delivered again"
ADDRESS = "expected host:port, such as 127.0.0.1:8080 or [::1]:8080, or unix:/path"
PUBLIC_URL = "expected a URL such as https://hooks.example.com, without user, query and fragment"
NETWORK = "expected an address or a network, such as 10.0.0.0/8"
MOMENT = "expected a time with its offset, such as 2027-01-31T00:00:00Z"
A_KEY = "a-key-of-the-shop"
DIGEST = "expected a SHA-256 digest: 64 hex digits, as `cloudsignal keys hash` prints them"

BAD: list[tuple[Callable[[Any], Any], str, list[Any]]] = [
    (values.text, "expected text", ["", "  ", None, True, [], {}]),
    (values.text, QUOTES, [12, 1.5]),
    (values.label, "expected text of at most 64 printable characters", ["x" * 65, "two\nlines"]),
    (values.name, values.NAME_EXPECTED, ["", "Shop", "-shop", "a b", "a" * 65, "ä", "a\n", None, 5, "a/b"]),
    (validators.flag, "expected true or false", ["yes", 1, 0, None, "True", [], {}]),
    (validators.number, "expected a number", ["x", None, True, float("nan"), float("inf"), "nan", [], 10**400]),
    (values.whole(1, 10), "expected a whole number from 1 to 10", [0, 11, 1.5, "x", True, None, -1, "", 10**20]),
    (values.positive, "expected a number above 0", [0, -1]),
    (values.at_least_one, "expected a number, at least 1", [0.9, 0]),
    (validators.duration, DURATION, [-1, "1w", "s", "", None, True, [], "1 h", "-1s", "1h30m", float("inf")]),
    (values.retention, DURATION, ["1w", -1, None]),
    (values.retention, RETENTION, ["6.9d", "167h", 604799, 0]),
    (validators.one_of("a", "b", "c"), "expected one of a, b, c", ["d", None, [], {}, 1]),
    (values.address, ADDRESS, [8080, ":8080", "host", "host:", "host:65536", "::1:80", "[nope]:80", "a b:1", None]),
    (values.public_url, PUBLIC_URL, ["hooks.example.com", "https://u:p@a.example", "https://a/?b", "https://a b", 5]),
    (values.network, NETWORK, ["nope", "10.0.0.0/33", "1.2.3"]),
    (values.network, QUOTES, [10]),
    (values.sha256, DIGEST, ["ab", "g" * 64, "0" * 65, None, 5]),
    (values.moment, MOMENT, ["2027-01-31", "2027-01-31T00:00:00", "soon", None, 2027, "0001-01-01T00:00:00+14:00"]),
    (values.mapping, "expected a mapping (name: value)", [[], "x", 0, False]),
    (validators.ListOf(values.text), "expected a list", [False, 5]),
    (validators.ListOf(values.text), "expected a list: begin each entry with '- '", [{}, {"a": 1}]),
    (validators.ListOf(values.text, least=1), "expected at least one entry", [[], None]),
    (
        KEY_ENTRY,
        "expected either key or sha256",
        [{}, {"label": "x"}, {"key": "a-key-of-the-shop", "sha256": "00" * 32}],
    ),
]


@pytest.mark.parametrize(
    ("check", "message", "value"), [(check, message, value) for check, message, bad in BAD for value in bad]
)
def test_invalid_values(check: Callable[[Any], Any], message: str, value: Any) -> None:
    with pytest.raises(vol.Invalid) as caught:
        check(value)
    assert caught.value.msg == message


@pytest.mark.parametrize(
    ("word", "end"),
    [
        ("ItemShiped", " 'ItemShiped'; did you mean 'ItemShipped'?"),
        ("itemerror", " 'itemerror'; did you mean 'ItemError'?"),
        ("ItemValidate", " 'ItemValidate'; did you mean 'ItemValidated'?"),
        ("Xyz", f"; known: {', '.join(values.SIGNAL_TYPES)}"),
        (None, f"; known: {', '.join(values.SIGNAL_TYPES)}"),
        ([], f"; known: {', '.join(values.SIGNAL_TYPES)}"),
    ],
)
def test_an_unknown_signal_type_names_the_nearest(word: Any, end: str) -> None:
    with pytest.raises(vol.Invalid) as caught:
        values.signal_type(word)
    assert caught.value.msg == f"unknown signal type{end}"


def test_a_list_has_all_its_errors_at_once() -> None:
    with pytest.raises(vol.MultipleInvalid) as caught:
        validators.ListOf(KEY_ENTRY)([A_KEY, 5, {"sha256": "x", "expires": "y"}, A_KEY])
    assert sorted(str(error.path) for error in caught.value.errors) == ["[1]", "[2, 'expires']", "[2, 'sha256']"]


def test_a_single_text_has_no_index_in_its_error() -> None:
    with pytest.raises(vol.MultipleInvalid) as caught:
        validators.ListOf(values.signal_type)("ItemShiped")
    assert [error.path for error in caught.value.errors] == [[]]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(value=ANYTHING)
def test_validators_take_anything_or_raise_invalid(value: Any) -> None:
    for check in {check for check, *_ in GOOD}:
        with contextlib.suppress(vol.Invalid):
            check(value)


CLIENTS = [f"client{n:02}" for n in range(2, 61)]


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("bokshop", ["bookshop", "printshop"], "; did you mean 'bookshop'?"),
        ("BOOKSHOP", ["bookshop"], "; did you mean 'bookshop'?"),
        ("client2", CLIENTS, "; did you mean 'client02'?"),
        ("clint51", CLIENTS, "; did you mean 'client51'?"),
        ("client1", ["client51", "client2"], "; known: client51, client2"),
        ("client", ["client2"], "; known: client2"),
        ("client1", CLIENTS, f"; known: {', '.join(CLIENTS[:20])} and 39 more"),
        ("zebra", ["bookshop"], "; known: bookshop"),
        ("zebra", [], ""),
    ],
)
def test_a_hint_names_a_near_word_only(word: str, known: list[str], hint: str) -> None:
    assert values.did_you_mean(word, known) == hint
