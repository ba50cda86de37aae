"""Bodies that are no signal: their answers, and the removal of their keys."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tornado.ioloop import IOLoop

from tests.support.listener import NOW, Gateway, fields_of
from tests.support.payloads import EXAMPLES, KEY, example, request

GOOD = request(example())


def with_field(raw: bytes) -> bytes:
    """Return a good body with one more field, written as given."""
    return GOOD[:-1] + b', "x": ' + raw + b"}"


BROKEN = {
    "cut": GOOD[:-1],
    "two objects": GOOD + GOOD,
    "trailing comma": GOOD[:-1] + b",}",
    "nan": with_field(b"NaN"),
    "infinity": with_field(b"-Infinity"),
    "lone surrogate": with_field(b'"\\ud800"'),
    "surrogates swapped": with_field(b'"\\udc00\\ud800"'),
    "invalid utf-8": with_field(b'"\xff"'),
    "overlong utf-8": with_field(b'"\xc0\xaf"'),
    "control character": with_field(b'"\x01"'),
    "deep": with_field(b"[" * 500 + b"]" * 500),
    "very deep": with_field(b"[" * 20_000 + b"]" * 20_000),
    "very deep objects": with_field(b'{"a":' * 9000 + b"1" + b"}" * 9000),
    "array": b"[" + GOOD + b"]",
    "text": b'"' + b"x" * 10 + b'" ' + GOOD,
    "utf-16 mark": b"\xff\xfe" + GOOD,
    "two marks": b"\xef\xbb\xbf" * 2 + GOOD,
}


@pytest.mark.gen_test
@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
async def test_a_broken_body_with_the_right_key_is_quarantined(gateway: Gateway, body: bytes) -> None:
    fields = fields_of(await gateway.post(body))
    assert list(fields) == ["body"]
    (row,) = await gateway.quarantined()
    assert row.errors == fields
    assert "123456780000" in row.body
    assert KEY not in row.body
    assert await gateway.kept() == []


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "body", [b"", b"null", b"1", b'"text"', b"[]", b"{}", b"[" * 60_000, b"\0" * 100, b"apikey=wrong"]
)
async def test_a_body_without_a_key_is_a_wrong_key(gateway: Gateway, body: bytes) -> None:
    assert (await gateway.post(body)).code == 401
    assert await gateway.quarantined() == []


OTHER_FORMS = {
    "utf-16": GOOD.decode().encode("utf-16"),
    "utf-32": GOOD.decode().encode("utf-32"),
    "json in json": orjson.dumps(GOOD.decode()),
    "a form": urlencode({"apikey": KEY, **example()}).encode(),
    "a form with json": urlencode({"payload": GOOD}).encode(),
}


@pytest.mark.gen_test
@pytest.mark.parametrize("body", OTHER_FORMS.values(), ids=OTHER_FORMS)
async def test_another_form_with_the_right_key_is_quarantined(gateway: Gateway, body: bytes) -> None:
    """Quarantine keeps the object, so that a replay can take it."""
    fields = fields_of(await gateway.post(body))
    assert "expected" in fields["body"]
    (row,) = await gateway.quarantined()
    assert row.errors == fields
    assert orjson.loads(row.body) == example()
    assert (await gateway.ingest.readmit("bookshop", row.body, NOW)).signal.payload == example()


@pytest.mark.gen_test
@pytest.mark.parametrize("body", OTHER_FORMS.values(), ids=OTHER_FORMS)
async def test_another_form_with_a_wrong_key_is_a_wrong_key(gateway: Gateway, body: bytes) -> None:
    assert (await gateway.post(body, "printshop")).code == 401
    assert await gateway.quarantined() == []


@pytest.mark.gen_test
async def test_a_compressed_body_is_quarantined(gateway: Gateway) -> None:
    response = await gateway.post(b"\x1f\x8b\x08\x00" + GOOD, headers={"Content-Encoding": "gzip"})
    assert list(fields_of(response)) == ["body"]


@pytest.mark.gen_test
async def test_a_byte_order_mark_is_no_harm(gateway: Gateway) -> None:
    assert (await gateway.post(b"\xef\xbb\xbf" + GOOD)).code == 200


@pytest.mark.gen_test
async def test_the_last_of_two_equal_fields_wins(gateway: Gateway) -> None:
    assert (await gateway.post(GOOD[:-1] + b', "order": "2"}')).code == 200
    (row,) = await gateway.kept()
    assert row.signal.order == row.signal.payload["order"] == "2"


@pytest.mark.gen_test
async def test_nested_junk_is_kept_without_the_key(gateway: Gateway) -> None:
    junk = {"APIKEY": "x", "deep": [{"apikey": {"a": 1}}, f"<{KEY}>", KEY, {KEY: KEY}]}
    assert (await gateway.post(example(junk=junk))).code == 200
    (row,) = await gateway.kept()
    assert row.signal.payload == example(junk={"deep": [{}, f"<{KEY}>", "***", {"***": "***"}]})


# -- generated bodies

names = st.sampled_from(["type", "order", "item", "datetime", "tracking", "apikey", "ApiKey", KEY]) | st.text(
    max_size=9
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([KEY, "apikey", "\0", "\x7f", "😀"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw a good request with changed fields, and sometimes with changed bytes."""
    changes = draw(st.dictionaries(names, values, max_size=4))
    body = request({**EXAMPLES[draw(st.sampled_from(sorted(EXAMPLES)))], **changes, "apikey": KEY})
    if draw(st.integers(0, 2)):
        return body
    start, end = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
    return body[:start] + draw(st.binary(max_size=5)) + body[min(end, start + 3) :]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(body=bodies())
def test_any_body_is_answered_and_no_key_is_stored(
    gateway: Gateway, io_loop: IOLoop, tmp_path: Path, body: bytes
) -> None:
    response: Any = io_loop.run_sync(lambda: gateway.post(body))
    assert response.code in (200, 400, 401, 429)
    if response.code == 400:
        assert orjson.loads(response.body)["fields"]
        assert KEY.encode() not in response.body
    rows = io_loop.run_sync(gateway.kept)
    assert not any(b'"apikey":' in orjson.dumps(row.signal.payload).lower() for row in rows)
    for file in tmp_path.iterdir():
        assert f'"{KEY}"'.encode() not in file.read_bytes()
