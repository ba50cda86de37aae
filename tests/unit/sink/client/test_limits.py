"""Answers that never end or can't be read: the attempt ends soon, with a reason, and takes a bounded part of them."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import RetryLater
from gateway.sink import Context, HttpSink, Response
from gateway.sink.client import connection as connections
from gateway.sink.client.head import MAX_HEAD_BYTES, MAX_HEADERS, MAX_INTERIM_ANSWERS
from tests.support.raw_target import ATTACKS, BODIES, CHUNKED, OK, RawTarget, once

pytestmark = pytest.mark.gen_test

TAKEN = 2 * 1024 * 1024
"""Bytes. The most that any answer may cost: the limit of a body, and one read of the event loop."""
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


class Plain(HttpSink):
    name = "plain"
    summary = "posts"


@asynccontextmanager
async def answering(answer, silence: float = 60.0) -> AsyncIterator[tuple[Plain, RawTarget]]:
    """Yield a sink that waits `silence` seconds for a target with such an answer."""
    target = RawTarget(answer if callable(answer) else lambda: once(answer))
    target.listen_locally()
    sink = Plain({}, Context("shop", "acme", "erp"))
    sink.read_timeout = silence  # type: ignore[misc]
    try:
        yield sink, target
    finally:
        await sink.close()
        await target.close()


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of all pieces that the event loop reads."""
    sizes: list[int] = []
    real = connections.Connection.data_received

    def count(self: connections.Connection, data: bytes) -> None:
        sizes.append(len(data))
        real(self, data)

    monkeypatch.setattr(connections.Connection, "data_received", count)
    return sizes


@pytest.mark.parametrize("name", [*ATTACKS, *BODIES])
async def test_an_answer_that_can_not_be_read_ends_the_attempt(name: str, received: list[int]) -> None:
    async with answering({**ATTACKS, **BODIES}[name], 0.3) as (sink, target):
        if name == "dripping-body":  # this sink's only limit is that of the attempt, by the dispatcher
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(sink.request("POST", target.url), 0.5)
            return
        with pytest.raises(RetryLater) as raised:
            await asyncio.wait_for(sink.request("POST", target.url, data=b"x"), 60)
        assert target.url not in str(raised.value)
    assert sum(received) <= TAKEN


@pytest.mark.parametrize("name", ATTACKS)
async def test_headers_without_end_are_no_answer(name: str, received: list[int]) -> None:
    async with answering(ATTACKS[name], 0.3) as (sink, target):
        with pytest.raises(RetryLater):
            await asyncio.wait_for(sink.request_status("POST", target.url, data=b"x"), 60)
    assert sum(received) <= TAKEN


@pytest.mark.parametrize("name", BODIES)
async def test_a_status_counts_whatever_the_body_is(name: str, received: list[int]) -> None:
    async with answering(BODIES[name]) as (sink, target):
        answer = await asyncio.wait_for(sink.request_status("POST", target.url, data=b"x"), 60)
        assert (answer.status, answer.body) == (200, b"")
    assert sum(received) <= TAKEN


async def request(raw: bytes, method: str = "GET") -> Response:
    async with answering(raw) as (sink, target):
        return await sink.request(method, target.url)


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (OK + b"Content-Length: 6\r\n\r\nthanks", b"thanks"),
        (OK + b"content-length:6\r\n\r\nthanksless", b"thanks"),
        (OK + b"Content-Length: 6, 6\r\n\r\nthanks", b"thanks"),
        (OK + b"\r\nthanks", b"thanks"),
        (b"HTTP/1.0 200 OK\r\n\r\nthanks", b"thanks"),
        (b"HTTP/1.1 200\nX: y\n\nthanks", b"thanks"),
        (CHUNKED + b"3\r\ntha\r\n3;a=b\r\nnks\r\n0\r\nX: y\r\n\r\n", b"thanks"),
        (EARLY_HINTS * MAX_INTERIM_ANSWERS + OK + b"\r\nthanks", b"thanks"),
        (OK + b"a line that is no header\r\nContent-Length: 6\r\n\r\nthanks", b"thanks"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n", b""),
        (OK + b"X: " + b"y" * 40_000 + b"\r\n\r\nthanks", b"thanks"),
    ],
    ids=range(11),
)
async def test_answers_as_servers_give_them_are_read(raw: bytes, body: bytes) -> None:
    assert (await request(raw)).body == body


async def test_a_head_has_no_body_whatever_it_says() -> None:
    assert (await request(OK + b"Content-Length: 6\r\n\r\n", "HEAD")).body == b""


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (EARLY_HINTS * (MAX_INTERIM_ANSWERS + 1) + OK + b"\r\n", f"more than {MAX_INTERIM_ANSWERS} interim answers"),
        (OK + b"X: y\r\n" * (MAX_HEADERS + 1) + b"\r\n", f"more than {MAX_HEADERS} headers"),
        (OK + b"X: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", "a line of more than"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "changed the protocol"),
        (b"HTTP/2 200\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not HTTP/1.1"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP/1.1"),
        (b"", "closed before"),
        (CHUNKED + b"-1\r\nx\r\n0\r\n\r\n", "a chunk without its size"),
        (CHUNKED + b"0x6\r\nthanks\r\n0\r\n\r\n", "a chunk without its size"),
        (CHUNKED + b"6\r\nthanks\r\n", "closed before"),
    ],
    ids=range(11),
)
async def test_a_broken_answer_is_named(raw: bytes, words: str) -> None:
    with pytest.raises(RetryLater, match=words):
        await request(raw)


async def test_a_repeated_header_has_all_its_values() -> None:
    answer = await request(OK + b"X-Thing: a\r\nx-thing: b\r\nContent-Length: 0\r\n\r\n")
    assert answer.headers["x-thing"] == "a, b"


async def test_an_inflated_body_is_bounded_and_a_usual_one_is_read() -> None:
    packed = zlib.compress(b'{"a": 1}' * 1000)
    raw = OK + b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
    assert (await request(raw)).body == b'{"a": 1}' * 1000
