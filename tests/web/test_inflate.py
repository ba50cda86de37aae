"""Bodies with a Content-Encoding are inflated within the limit of bodies."""

from __future__ import annotations

import gzip
import time
import zlib
from contextlib import suppress

import pytest

from gateway.errors import TooLarge, UnsupportedContent
from gateway.web.inflate import inflate
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


def test_the_limit_holds_for_what_comes_out() -> None:
    assert inflate(gzip.compress(bytes(100)), "gzip", 100) == bytes(100)
    too_large = gzip.compress(bytes(101))
    for body in (too_large, gzip.compress(bytes(60)) * 2, gzip.compress(b"") * 10 + too_large):
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
