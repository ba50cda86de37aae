"""HttpSink: transport errors become outcomes, and an answer is read to its end, up to a limit."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import Misconfigured, Permanent, RetryLater
from gateway.sink import Context, HttpSink, Response, Unanswered
from gateway.sink import http as sink_http
from gateway.sink.resolver import Address
from tests.support.process import free_port
from tests.support.stub import Answer, Fault, Request, Stub

pytestmark = pytest.mark.gen_test


class Plain(HttpSink):
    name = "plain"
    summary = "posts"


class Careful(Plain):
    def permits(self, address: Address) -> bool:
        return not address.is_loopback


@asynccontextmanager
async def target() -> AsyncIterator[tuple[Plain, Stub]]:
    stub = Stub()
    stub.start()
    sink = Plain({}, Context("shop", "acme", "erp"))
    try:
        yield sink, stub
    finally:
        await sink.close()
        await stub.stop()


async def test_an_answer_comes_whole() -> None:
    async with target() as (sink, stub):
        stub.faults.append(Answer(201, {"id": 7}, {"X-Thing": "yes"}))
        answer = await sink.request("POST", f"{stub.url}/x?y=1", json={"a": "ü"}, headers={"X-Mine": "1"})
        (request,) = stub.requests
    assert (answer.status, answer.json(), answer.headers["x-thing"], answer.is_json) == (201, {"id": 7}, "yes", True)
    assert (request.method, request.path, request.query, request.json) == ("POST", "/x", "y=1", {"a": "ü"})
    assert request.headers["X-Mine"] == "1"
    assert request.headers["User-Agent"] == "cloudsignal-gateway"


async def test_a_redirect_is_not_followed() -> None:
    async with target() as (sink, stub):
        stub.faults.append(Answer(302, b"", {"Location": "http://127.0.0.1:1/"}))
        assert (await sink.request("GET", stub.url)).status == 302


async def test_no_attempt_waits_for_another() -> None:
    """A route may have any `concurrency`."""
    concurrency = 40
    async with target() as (sink, stub):
        arrived: list[Request] = []
        all_here = asyncio.Event()

        async def answer_all_at_once(request: Request) -> Answer:
            arrived.append(request)
            if len(arrived) == concurrency:
                all_here.set()
            await all_here.wait()
            return Answer(200)

        stub.always = answer_all_at_once
        answers = await asyncio.gather(*(sink.request("POST", stub.url) for _ in range(concurrency)))
    assert [answer.status for answer in answers] == [200] * concurrency


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.CLOSE, "the connection broke"),
        (Fault.HALF, "the connection broke"),
        (Fault.HANG, "did not answer in time"),
    ],
)
async def test_no_whole_answer_is_tried_again(fault: str, words: str) -> None:
    async with target() as (sink, stub):
        stub.faults.append(fault)
        if fault == Fault.HANG:
            sink.read_timeout = 0.05  # type: ignore[misc]
        with pytest.raises(Unanswered, match=words) as raised:
            await sink.request("POST", f"{stub.url}/secret-path")
    assert "secret-path" not in str(raised.value)


async def test_no_connection_is_tried_again() -> None:
    async with target() as (sink, _):
        with pytest.raises(RetryLater, match="can't connect: Connection refused"):
            await sink.request("GET", f"http://127.0.0.1:{free_port()}/secret-path")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433"])
async def test_an_address_that_is_not_permitted_is_not_called(host: str) -> None:
    async with target() as (_, stub):
        sink = Careful({}, Context("shop", "acme", "erp"))
        with pytest.raises(Misconfigured, match="not one that this route may connect to"):
            await sink.request("GET", f"http://{host}:{stub.url.rpartition(':')[2]}/secret-path")
        await sink.close()
        assert not stub.requests


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_http, "MAX_ANSWER_BYTES", 1000)
    async with target() as (sink, stub):
        stub.faults.append(Answer(200, b"x" * 1001))
        with pytest.raises(RetryLater, match="more than 1000 bytes"):
            await sink.request("GET", stub.url)


async def test_a_closed_sink_can_be_used_again() -> None:
    async with target() as (sink, stub):
        await sink.request("GET", stub.url)
        await sink.close()
        assert (await sink.request("GET", stub.url)).status == 200


@pytest.mark.parametrize("status", sorted(sink_http.RETRIED_STATUSES))
async def test_statuses_that_pass_by_themselves(status: int) -> None:
    with pytest.raises(RetryLater) as raised:
        Response(status, {"retry-after": "7"}, b"").raise_for_retry(now=0)
    assert raised.value.after == 7


async def test_an_error_that_is_tried_again_waits_as_asked() -> None:
    response = Response(429, {"retry-after": "7"}, b"")
    later, final = (response.make_error(kind, "no", now=0) for kind in (Unanswered, Permanent))
    assert (type(later), getattr(later, "after", None), str(later)) == (Unanswered, 7, "no")
    assert (type(final), str(final)) == (Permanent, "no")


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 403, 404, 410, 422])
async def test_other_statuses_are_the_sinks_to_judge(status: int) -> None:
    Response(status, {}, b"").raise_for_retry(now=0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Tue, 24 Nov 2026 08:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 07:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("\u00b2", None),
        ("60, 120", None),
        ("1.5", None),
        ("Thu, 32 Foo 2026 25:61:61 GMT", None),
        ("9" * 400, math.inf),
    ],
)
async def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    now = 1795507200.0  # 2026-11-24 08:00:00 UTC
    assert Response(429, {"retry-after": header}, b"").retry_after(now) == seconds


async def test_a_body_that_is_no_json_is_tried_again() -> None:
    with pytest.raises(RetryLater, match="answered 200 with a body that is not JSON"):
        Response(200, {}, b"<html>").json()
