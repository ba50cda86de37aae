"""Bodies with a Content-Encoding are inflated within the limit of bodies."""

from __future__ import annotations

import gzip
import time
import zlib
from contextlib import suppress

import pytest
import structlog

from gateway.errors import TooLarge, UnsupportedContent
from gateway.web.inflate import STEP, inflate
from tests.support.listener import Gateway, fields_of
from tests.support.payloads import KEY, example, request

BODY = request(example())
RAW = zlib.compressobj(wbits=-15)
RAW_DEFLATE = RAW.compress(BODY) + RAW.flush()

CODED = {
    "gzip": (gzip.compress(BODY), "gzip"),
    "gzip in upper case": (gzip.compress(BODY), "GZIP"),
    "x-gzip": (gzip.compress(BODY), "x-gzip"),
    "two members": (gzip.compress(BODY[:50]) + gzip.compress(BODY[50:]), "gzip"),
    "gzip and zeros behind": (gzip.compress(BODY) + bytes(8), "gzip"),
    "deflate": (zlib.compress(BODY), "deflate"),
    "deflate without zlib's header": (RAW_DEFLATE, "deflate"),
    "identity": (BODY, "identity"),
    "gzip and text behind": (gzip.compress(BODY) + b"\r\n", "gzip"),
    "gzip and identity": (gzip.compress(BODY), "gzip, identity"),
    "plain, called gzip": (BODY, "gzip"),
}


@pytest.mark.gen_test
@pytest.mark.parametrize(("body", "coding"), CODED.values(), ids=CODED)
async def test_a_compressed_signal_is_taken(gateway: Gateway, body: bytes, coding: str) -> None:
    assert (await gateway.post(body, headers={"Content-Encoding": coding})).code == 200
    (row,) = await gateway.kept()
    assert row.signal.payload == example()


@pytest.mark.gen_test
@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "x"])
async def test_another_coding_is_refused(gateway: Gateway, coding: str) -> None:
    response = await gateway.post(BODY, headers={"Content-Encoding": coding})
    assert (response.code, response.headers["Accept-Encoding"]) == (415, "gzip, deflate")
    assert await gateway.kept() == []


@pytest.mark.gen_test
async def test_a_bomb_is_refused(gateway: Gateway) -> None:
    response = await gateway.post(gzip.compress(bytes(10_000_000)), headers={"Content-Encoding": "gzip"})
    assert response.code == 413


@pytest.mark.gen_test
async def test_a_compressed_body_that_is_cut_is_quarantined(gateway: Gateway) -> None:
    body = gzip.compress(BODY, 0)[:-30]
    assert list(fields_of(await gateway.post(body, headers={"Content-Encoding": "gzip"}))) == ["body"]
    (row,) = await gateway.quarantined()
    assert KEY not in row.body


def damage(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 0xFF]) + body[at % len(body) + 1 :]


WHOLE = gzip.compress(BODY, 9)
STORED = zlib.compress(BODY, 0)
OUT_OF_REACH = {
    "damaged in its first block": (damage(WHOLE, 12), "gzip"),
    "damaged in its head": (damage(WHOLE, 1), "gzip"),
    "only its head": (WHOLE[:10], "gzip"),
    "deflate, damaged": (damage(zlib.compress(BODY), 2), "deflate"),
    "no gzip at all": (b"\x00\x01\x02\x03", "gzip"),
}
IN_REACH = {
    "a wrong checksum": (damage(WHOLE, len(WHOLE) - 6), "gzip"),
    "a wrong length": (damage(WHOLE, len(WHOLE) - 1), "gzip"),
    "cut in its checksum": (WHOLE[:-4], "gzip"),
    "deflate, a wrong checksum": (damage(STORED, len(STORED) - 1), "deflate"),
    "the second member damaged": (gzip.compress(BODY[:-9]) + damage(gzip.compress(BODY[-9:]), 12), "gzip"),
    "gzip without a header": (WHOLE, "identity"),
}


@pytest.mark.gen_test
@pytest.mark.parametrize(("body", "coding"), OUT_OF_REACH.values(), ids=OUT_OF_REACH)
async def test_damage_that_hides_the_key_is_a_wrong_key_whose_log_line_tells(
    gateway: Gateway, body: bytes, coding: str
) -> None:
    with structlog.testing.capture_logs() as lines:
        assert (await gateway.post(body, headers={"Content-Encoding": coding})).code == 401
    (line,) = [line for line in lines if line["event"] == "signal.refused"]
    assert line["reason"] == f"the body can't be inflated: its {coding} data is damaged or cut"
    assert await gateway.quarantined() == []


@pytest.mark.gen_test
@pytest.mark.parametrize(("body", "coding"), IN_REACH.values(), ids=IN_REACH)
async def test_damage_that_leaves_the_key_is_quarantined(gateway: Gateway, body: bytes, coding: str) -> None:
    fields = fields_of(await gateway.post(body, headers={"Content-Encoding": coding}))
    assert list(fields) == ["body"]
    assert ("can't be inflated" in fields["body"]) is (coding != "identity")
    (row,) = await gateway.quarantined()
    assert row.errors == fields
    assert KEY not in row.body
    assert await gateway.kept() == []


def test_what_stands_before_the_damage_is_kept() -> None:
    inflated, fault = inflate(damage(STORED, len(STORED) - 1), "deflate", len(BODY))
    assert BODY.startswith(inflated)
    assert len(inflated) > len(BODY) - 2 * STEP
    assert fault


def test_the_limit_holds_for_what_comes_out() -> None:
    assert inflate(gzip.compress(bytes(100)), "gzip", 100) == (bytes(100), "")
    too_large = gzip.compress(bytes(101))
    for body in (
        too_large,
        gzip.compress(bytes(60)) * 2,
        gzip.compress(b"") * 10 + too_large,
        damage(gzip.compress(bytes(900)), -1),
    ):
        with pytest.raises(TooLarge):
            inflate(body, "gzip", 100)


def test_two_codings_are_refused() -> None:
    with pytest.raises(UnsupportedContent):
        inflate(b"", "deflate, gzip", 100)


def test_a_bomb_costs_no_more_than_a_body() -> None:
    bombs = [gzip.compress(bytes(60_000_000)), gzip.compress(b"") * 3000]
    started = time.process_time()
    for bomb in bombs:
        for _ in range(10):
            with suppress(TooLarge):
                inflate(bomb[:65536], "gzip", 65536)
    assert time.process_time() - started < 2.0
