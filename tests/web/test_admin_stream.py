"""The stream of the API: events as they happen, of what the role sees, and on from where it was cut off."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.ioloop import IOLoop

from gateway.config import Config
from gateway.metrics import PrometheusObserver
from gateway.model import Delivery, Done
from gateway.operate import feed as feeds
from gateway.operate.feed import Feed
from gateway.store import Store
from gateway.store.values import Result
from gateway.web.admin.app import make_admin_app
from tests.support.api import FOREIGN, TOKENS, make_desk
from tests.support.factory import make_signal

pytestmark = pytest.mark.gen_test


@pytest.fixture
def feed(store: Store, monkeypatch: pytest.MonkeyPatch) -> Feed:
    monkeypatch.setattr(feeds, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(feeds, "PACE", 0.0)
    return Feed(store)


@pytest.fixture
def app(store: Store, api_config: Config, feed: Feed) -> Any:
    return make_admin_app(dict, PrometheusObserver(), desk=make_desk(store, api_config, feed))


class Stream:
    """A client of the stream: its events as they come."""

    def __init__(self, url: str, role: str, last: str = "") -> None:
        self.host, port = url.removeprefix("http://").split(":")
        self.port = int(port)
        self.role, self.last = role, last

    async def __aenter__(self) -> Stream:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        last = f"Last-Event-ID: {self.last}\r\n" if self.last else ""
        head = f"GET /api/v1/stream HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKENS[self.role]}\r\n{last}\r\n"
        self.writer.write(head.encode())
        self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def text(self) -> str:
        """Return the next text, which is one chunk."""
        size = int(await self.reader.readline(), 16)
        return (await self.reader.readexactly(size + 2))[:-2].decode()

    async def event(self) -> tuple[str, str, Any]:
        """Return the id, the kind and the JSON of the next event."""
        while not (text := await self.text()).startswith(("id:", "event:")):
            pass
        fields = dict(line.split(": ", 1) for line in text.strip().splitlines())
        return fields.get("id", ""), fields["event"], orjson.loads(fields["data"])


@contextlib.asynccontextmanager
async def running(feed: Feed) -> AsyncIterator[None]:
    """Run the feed, and wait in the end until nobody watches any more."""
    task = asyncio.ensure_future(feed.run())
    try:
        yield
    finally:
        task.cancel()
        while feed._watchers:
            await asyncio.sleep(0.01)


async def accept(store: Store, account: str, order: str) -> None:
    await store.accept(make_signal(account=account, order=order), [], [], False)
    now = time.time()
    while (await store.follow_orders("the follower", now, now + 60, 100)).more:
        pass


async def gathers(feed: Feed) -> None:
    """Wait until the feed has had its first look."""
    while not feed._name:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    before = feed._looks
    while feed._looks == before:
        await asyncio.sleep(0.01)


async def test_signals_come_as_they_are_accepted(base_url: str, http_server: Any, store: Store, feed: Feed) -> None:
    async with running(feed), Stream(base_url, "operator") as stream:
        assert "text/event-stream" in stream.head
        assert await stream.text() == "retry: 2000\n\n"
        await gathers(feed)
        for account in ("bookshop", FOREIGN):
            await accept(store, account, f"{account}-7")
        events = [await stream.event() for _ in range(2)]
        assert [(kind, data["order"]) for _, kind, data in events] == [
            ("signal", "bookshop-7"),
            ("signal", "printshop-7"),
        ]


@pytest.mark.parametrize("role", ["tenant", "account"])
async def test_a_role_gets_its_own_only(base_url: str, http_server: Any, store: Store, feed: Feed, role: str) -> None:
    async with running(feed), Stream(base_url, role) as stream:
        await gathers(feed)
        await accept(store, FOREIGN, "foreign")
        await accept(store, "bookshop", "own")
        assert (await stream.event())[2]["order"] == "own"


async def test_results_come_with_their_outcome(base_url: str, http_server: Any, store: Store, feed: Feed) -> None:
    async with running(feed), Stream(base_url, "account") as stream:
        await gathers(feed)
        for account in (FOREIGN, "bookshop"):
            delivery = Delivery(make_signal(account=account), "erp", 1, 0.0)
            feed.tell_results([Result(delivery, Done("delivered"), None, 1_800_000_000.0)])
        _, kind, data = await stream.event()
        assert (kind, data["account"], data["route"], data["outcome"]) == ("result", "bookshop", "erp", "delivered")


async def test_a_stream_goes_on_where_it_was_cut_off(base_url: str, http_server: Any, store: Store, feed: Feed) -> None:
    async with running(feed):
        async with Stream(base_url, "operator") as stream:
            await gathers(feed)
            for order in ("1", "2"):
                await accept(store, "bookshop", order)
            last = (await stream.event())[0]
            assert (await stream.event())[2]["order"] == "2"
        async with Stream(base_url, "operator", last) as stream:
            assert (await stream.event())[2]["order"] == "2"


@pytest.mark.parametrize("last", ["other-1", "x", "-", "9"])
async def test_who_comes_back_too_late_is_told_so(
    base_url: str, http_server: Any, store: Store, feed: Feed, last: str
) -> None:
    async with running(feed), Stream(base_url, "operator", last) as stream:
        assert (await stream.event())[1:] == ("reset", {})


async def test_a_silent_stream_says_that_it_stands(
    base_url: str, http_server: Any, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "SILENCE", 0.01)
    async with running(feed), Stream(base_url, "operator") as stream:
        assert [await stream.text() for _ in range(3)][1:] == [": still here\n\n"] * 2


async def test_too_many_watchers_are_refused(
    base_url: str, http_server: Any, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MOST_WATCHERS", 1)
    async with running(feed), Stream(base_url, "operator") as stream:
        await stream.text()
        while not feed._watchers:
            await asyncio.sleep(0.01)
        async with Stream(base_url, "operator") as other:
            assert other.head.startswith("HTTP/1.1 429")


async def test_a_watcher_without_a_token_is_refused(
    base_url: str, http_server: Any, http_client: AsyncHTTPClient, io_loop: IOLoop
) -> None:
    response = await http_client.fetch(f"{base_url}/api/v1/stream", raise_error=False)
    assert response.code == 401
