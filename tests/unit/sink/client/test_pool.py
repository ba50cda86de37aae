"""The pool: connections are used again, and none that has ended or has said more than asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import RetryLater
from gateway.sink import Context, HttpSink, Unanswered
from gateway.sink.client import client as pools
from tests.support.listener import ON_BOTH_LOOPS
from tests.support.raw_target import CHUNKED, OK, RawTarget, endlessly, once

THANKS = OK + b"Content-Length: 6\r\n\r\nthanks"


class Plain(HttpSink):
    name = "plain"
    summary = "posts"
    read_timeout = 5.0


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[tuple[Plain, RawTarget]]:
    """Answer with each in turn, the last one again and again, and keep the connections open."""
    left = list(answers)
    target = RawTarget(lambda: once(left.pop(0) if len(left) > 1 else left[0]), keep=True)
    target.listen_locally()
    sink = Plain({}, Context("shop", "acme", "erp"))
    try:
        yield sink, target
    finally:
        await sink.close()
        await target.close()


async def settled(sink: Plain) -> None:
    """Return when no body is being skipped any more."""
    while sink._open_http()._skipping:
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (THANKS, 1),
        (CHUNKED + b"6\r\nthanks\r\n0\r\n\r\n", 1),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 1),
        (OK + b"Connection: close\r\nContent-Length: 6\r\n\r\nthanks", 3),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nthanks", 3),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 6\r\n\r\nthanks", 1),
        (THANKS + OK, 3),
    ],
    ids=["length", "chunks", "no body", "close", "HTTP/1.0", "HTTP/1.0 kept", "more than an answer"],
)
@pytest.mark.gen_test
async def test_a_connection_is_used_again_if_it_can_be(answer: bytes, connections: int) -> None:
    async with answering(answer) as (sink, target):
        for _ in range(3):
            assert (await sink.request("POST", target.url, data=b"x")).status in (200, 204)
        assert (len(target.requests), target.connections) == (3, connections)


@pytest.mark.gen_test
async def test_a_connection_is_used_again_after_a_body_that_nobody_reads() -> None:
    async with answering(THANKS) as (sink, target):
        for _ in range(3):
            await sink.request_status("POST", target.url, data=b"x")
            await settled(sink)
        assert (len(target.requests), target.connections) == (3, 1)


@pytest.mark.gen_test
async def test_a_connection_that_the_target_closed_is_not_used_again() -> None:
    async with answering(THANKS) as (sink, target):
        target.keep = False
        for _ in range(3):
            assert (await sink.request("POST", target.url, data=b"x")).body == b"thanks"
            await asyncio.sleep(0.01)
        assert target.connections == 3


@pytest.mark.parametrize(("method", "repeated"), [("GET", True), ("HEAD", True), ("POST", False), ("PUT", False)])
@pytest.mark.gen_test
async def test_only_a_request_that_changes_nothing_is_sent_again(method: str, repeated: bool) -> None:
    """The target closes the idle connection while a request is on its way."""
    async with answering(THANKS, b"", THANKS) as (sink, target):
        await sink.request("POST", target.url)
        target.keep = False
        if repeated:
            assert (await sink.request(method, target.url)).status == 200
        else:
            with pytest.raises(Unanswered, match="closed before"):
                await sink.request(method, target.url)
        assert len(target.requests) == 2 + repeated


@pytest.mark.gen_test
async def test_a_new_connection_that_is_dropped_is_not_tried_again() -> None:
    async with answering(b"") as (sink, target):
        target.keep = False
        with pytest.raises(Unanswered):
            await sink.request("GET", target.url)
        assert len(target.requests) == 1


@pytest.mark.gen_test
async def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next() -> None:
    forged = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
    async with answering(THANKS + forged, THANKS) as (sink, target):
        assert [(await sink.request("POST", target.url)).status for _ in range(2)] == [200, 200]


@pytest.mark.gen_test
async def test_bodies_that_nobody_reads_use_a_bounded_number_of_connections() -> None:
    target = RawTarget(lambda: endlessly(OK + b"Content-Length: 100\r\n\r\n", b"", 3600))
    target.listen_locally()
    sink = Plain({}, Context("shop", "acme", "erp"))
    for _ in range(3 * pools.MAX_SKIPPING):
        assert (await sink.request_status("POST", target.url)).status == 200
    assert len(sink._open_http()._skipping) == pools.MAX_SKIPPING
    await sink.close()
    await target.close()


@pytest.mark.gen_test
async def test_an_attempt_that_is_cut_short_leaves_no_connection_behind() -> None:
    target = RawTarget(lambda: endlessly(OK, b"", 3600))
    target.listen_locally()
    sink = Plain({}, Context("shop", "acme", "erp"))
    attempt = asyncio.create_task(sink.request("POST", target.url))
    while not target.requests:
        await asyncio.sleep(0)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert not any(sink._open_http()._idle.values())
    await sink.close()
    await target.close()


@ON_BOTH_LOOPS
def test_requests_go_out_on_each_event_loop(loop_factory) -> None:  # type: ignore[no-untyped-def]
    async def body() -> None:
        async with answering(THANKS) as (sink, target):
            for _ in range(2):
                assert (await sink.request("POST", target.url, json={"a": 1})).body == b"thanks"
            assert target.requests[0].endswith(b'\r\n\r\n{"a":1}')
            assert target.connections == 1

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(body())


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nb", "a\0b"])
@pytest.mark.gen_test
async def test_a_header_with_a_line_break_is_not_sent(value: str) -> None:
    async with answering(THANKS) as (sink, target):
        with pytest.raises(RetryLater, match="the header X-Mine would have a line break"):
            await sink.request("POST", target.url, headers={"X-Mine": value})
        assert not target.requests


@pytest.mark.gen_test
async def test_a_user_in_the_url_is_sent_as_basic() -> None:
    async with answering(THANKS) as (sink, target):
        await sink.request("GET", target.url.replace("//", "//me:p%40ss@"))
        assert b"\r\nAuthorization: Basic bWU6cEBzcw==\r\n" in target.requests[0]


@pytest.mark.gen_test
async def test_a_silent_port_is_unanswered() -> None:
    async with answering(THANKS) as (sink, target):
        target.answer = lambda: endlessly(b"", b"", 3600)
        sink.read_timeout = 0.05  # type: ignore[misc]
        with pytest.raises(Unanswered, match="did not answer in time"):
            await sink.request("GET", target.url)
