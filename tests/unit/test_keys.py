"""Keys: comparison in constant time, and removal from everything that is stored."""

import hashlib
import json
import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import keys
from gateway.errors import InvalidSignal
from gateway.model import Key
from tests.support.payloads import KEY, OTHER_KEY

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def make_key(text: str = KEY, label: str = "main", expires: datetime | None = None) -> Key:
    return Key(keys.hash_key(text), label, expires)


def test_a_key_is_kept_as_its_sha256() -> None:
    assert keys.hash_key("test") == hashlib.sha256(b"test").digest()
    assert keys.hash_key("schlüssel") == hashlib.sha256("schlüssel".encode()).digest()
    assert len(keys.hash_key("\ud800")) == 32


def test_any_of_the_keys_of_an_account_matches() -> None:
    old, new = make_key(OTHER_KEY, "old"), make_key(KEY, "new")
    assert keys.match(KEY, (old, new), NOW).key is new
    assert keys.match(OTHER_KEY, (old, new), NOW).key is old


@pytest.mark.parametrize(
    "presented", [OTHER_KEY, KEY.upper(), KEY[:-1], KEY + "0", " " + KEY, "", None, 1, True, [KEY], {}]
)
def test_other_values_do_not_match(presented: object) -> None:
    assert keys.match(presented, (make_key(),), NOW).key is None


def test_no_key_is_right_without_an_account() -> None:
    assert keys.match(KEY, (), NOW).key is None
    assert keys.match("", (), NOW).key is None


def test_an_empty_key_is_wrong_even_if_it_is_configured() -> None:
    assert keys.match("", (make_key(""),), NOW).key is None
    assert keys.match(None, (make_key(""),), NOW).key is None


def test_a_key_ends_when_it_expires() -> None:
    key = make_key(expires=NOW)
    assert keys.match(KEY, (key,), NOW - timedelta(seconds=1)).key is key
    assert keys.match(KEY, (key,), NOW).key is None


def test_a_key_that_has_ended_is_told_from_a_wrong_one() -> None:
    key = make_key(expires=NOW)
    assert keys.match(KEY, (key,), NOW) == (None, key)
    assert keys.match(KEY, (key,), NOW - timedelta(seconds=1)) == (key, None)
    assert keys.match(OTHER_KEY, (key,), NOW) == (None, None)
    assert keys.match(KEY, (key, make_key()), NOW) == (make_key(), None)


def test_an_expired_key_does_not_hide_the_same_one_renewed() -> None:
    renewed = make_key(label="renewed")
    assert keys.match(KEY, (renewed, make_key(expires=NOW)), NOW).key is renewed


@pytest.mark.parametrize("presented", [KEY, OTHER_KEY, "", None, 5])
@pytest.mark.parametrize("configured", [0, 1, 2, 4])
def test_every_presented_key_costs_the_same_work(
    monkeypatch: pytest.MonkeyPatch, presented: object, configured: int
) -> None:
    compared, hashed = [], []
    compare, sha256 = keys.hmac.compare_digest, keys.hashlib.sha256
    monkeypatch.setattr(keys.hmac, "compare_digest", lambda a, b: compared.append(b) or compare(a, b))
    monkeypatch.setattr(keys.hashlib, "sha256", lambda data: hashed.append(data) or sha256(data))
    account = tuple(Key(bytes([n + 1]) * 32, str(n)) for n in range(configured))
    keys.match(presented, account, NOW)
    assert len(compared) == len(keys.DECOYS) == 4
    assert len(hashed) == 1


def test_every_one_of_many_keys_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    compare = keys.hmac.compare_digest
    monkeypatch.setattr(keys.hmac, "compare_digest", lambda a, b: compared.append(b) or compare(a, b))
    account = (make_key(), *(Key(bytes([n + 1]) * 32, str(n)) for n in range(6)))
    assert keys.match(KEY, account, NOW).key is account[0]
    assert compared == [key.digest for key in account]


def test_a_new_key_looks_like_the_vendors() -> None:
    assert keys.new_key(lambda count: "ab" * count) == "ab" * 16
    first, second = keys.new_key(), keys.new_key()
    assert len(first) == 32
    assert int(first, 16) != int(second, 16)


# -- a key in a request


@pytest.mark.parametrize(
    "body",
    [
        b'{"apikey": "%s", "type": ' % KEY.encode(),
        b'[{"apikey":"%s"}]' % KEY.encode(),
        b'{"apikey"\n:\t"%s", "n": NaN}' % KEY.encode(),
        b'\xff\xfe{"apikey":"%s"}' % KEY.encode(),
        b'{"apikey":"first","apikey":"%s",' % KEY.encode(),
    ],
)
def test_a_key_is_found_in_a_body_that_is_no_object(body: bytes) -> None:
    assert keys.find_key(body) == KEY


@pytest.mark.parametrize("body", [b"", b"[]", b'{"apikey": 5', b'{"apikey": "', b'{"apikey": ""', b'{"key": "x"'])
def test_no_key_is_found_in_a_body_without_one(body: bytes) -> None:
    assert keys.find_key(body) is None


def test_a_payload_without_its_key_is_otherwise_unchanged() -> None:
    payload = {"apikey": KEY, "type": "ItemPacked", "order": 5, "extra": {"a": [1, None, "x"]}}
    kept = keys.remove_key(payload, KEY)
    assert kept == {"type": "ItemPacked", "order": 5, "extra": {"a": [1, None, "x"]}}
    assert payload["apikey"] == KEY, "the argument is not changed"


def test_a_key_is_removed_wherever_it_stands() -> None:
    payload = {
        "apikey": KEY,
        "APIKEY": "x",
        "message": KEY,
        KEY: 1,
        "deep": [{"ApiKey": KEY, "b": [KEY]}],
    }
    kept = keys.remove_key(payload, KEY)
    assert kept == {"message": "***", "***": 1, "deep": [{"b": ["***"]}]}


@pytest.mark.parametrize(
    "text", ["{}-1001", "PO-{}", "https://track.example/{}/1001", "sent for {} today", " {}", "{}{}", "<{}>", "{}\n"]
)
@pytest.mark.parametrize("key", [KEY, "acme-books-wholesale", 'a"quoted\\key"-7c1a2b'])
def test_text_that_only_contains_a_key_is_kept(key: str, text: str) -> None:
    payload = {"order_reference": text.format(key, key), text.format(key, key): [{"x": text.format(key, key)}]}
    assert keys.remove_key({"apikey": key, **payload}, key) == payload
    assert keys.remove_key({"apikey": key, **payload, "x": key}, key) == {**payload, "x": "***"}


def test_a_key_with_characters_that_json_escapes_is_found_too() -> None:
    key = 'pass"word\\1\n'
    assert keys.remove_key({"apikey": key, "a": [key]}, key) == {"a": ["***"]}


def test_a_short_key_is_not_searched_for() -> None:
    assert keys.remove_key({"apikey": "1", "order": "123", "x": {"apikey": "1"}}, "1") == {"order": "123", "x": {}}


def test_a_payload_too_deep_to_be_written_is_refused() -> None:
    deep: list[object] = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(InvalidSignal) as caught:
        keys.remove_key({"apikey": KEY, "deep": deep}, KEY)
    assert caught.value.fields == {"body": "nested too deeply"}


def test_the_deepest_payload_that_can_be_written_can_be_cleaned() -> None:
    deep: object = {"apikey": KEY}
    for _ in range(252):
        deep = [deep]
    assert b"apikey" not in orjson.dumps(keys.remove_key({"deep": deep}, KEY))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"apikey": "%s", "type"' % KEY.encode(), '{"***": "***", "type"'),
        (b'{"APIKEY":"a\\"b","x":1', '{"***": "***","x":1'),
        (b'{"apikey": "cut', '{"***": "***"'),
        (b'{"m": "%s", apikey' % KEY.encode(), '{"m": "***", ***'),
        (b'{"a": "\xff\x00', '{"a": "\\xff\\x00'),
        ("{ü".encode(), "{ü"),
    ],
)
def test_a_broken_body_is_kept_as_text_without_the_key(body: bytes, text: str) -> None:
    assert keys.remove_key_from_text(body, KEY) == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.sampled_from([KEY, "apikey"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["apikey", "ApiKey", KEY]), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text() | st.sampled_from(["apikey", "APIKEY", KEY]), json_values))
def test_no_payload_keeps_a_key(payload: dict[str, object]) -> None:
    kept = keys.remove_key(payload, KEY)
    assert KEY.encode() not in orjson.dumps(kept)
    assert b'"apikey":' not in orjson.dumps(kept).lower()


def escape(character: str) -> st.SearchStrategy[str]:
    """Draw a spelling of a character that JSON, JSON within JSON or a URL decodes to it."""
    units = character.encode("utf-16-be").hex()
    escaped = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    in_url = "".join(f"%{octet:02x}" for octet in character.encode())
    short = json.dumps(character, ensure_ascii=False)[1:-1]
    forms = [character, escaped, escaped.replace("\\", "\\\\"), in_url, short]
    return st.sampled_from([*forms, f"\\u{units.upper()}" if len(units) == 4 else escaped, in_url.upper()])


@pytest.mark.parametrize("key", [KEY, "schlüssel-😀-1234567890", 'a"quoted\\key/-7c1a2b\n'])
@settings(max_examples=40)
@given(data=st.data())
def test_no_text_keeps_a_key_in_any_spelling(key: str, data: st.DataObject) -> None:
    spelled = "".join(data.draw(escape(character)) for character in key)
    name = "".join(data.draw(escape(character)) for character in "apiKey")
    text = keys.remove_key_from_text(f'{{"{name}": "{key}", "note": "x {spelled} y", NaN'.encode(), key)
    assert text.endswith('"***", "note": "x *** y", NaN')
    assert spelled not in text
    assert name not in text


def test_a_body_of_backslashes_costs_little() -> None:
    body = b'{"apikey": "' + KEY.encode() + b'", ' + b"\\" * 64_000
    started = time.process_time()
    assert keys.remove_key_from_text(body, KEY).count("\\") == 64_000
    assert time.process_time() - started < 5


@given(st.binary(), st.binary())
def test_no_text_keeps_a_key(before: bytes, after: bytes) -> None:
    text = keys.remove_key_from_text(before + b'"apikey":"' + KEY.encode() + b'"' + after, KEY)
    assert KEY not in text
    assert "apikey" not in text.lower()
    assert "\0" not in text
    text.encode()
