"""A Slack sink on a fake Slack, with clocks that stand still."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import voluptuous as vol

from cloudsignal_slack import SlackSink
from gateway import model
from gateway.sink import Context
from tests.support import factory
from tests.support.fake_slack import FakeSlack

NOW = factory.AT.timestamp() + 60


class Case:
    """`async with Case(**options) as case`: `case.fake` has the messages. `case.slept` are the waits, which pass."""

    def __init__(self, fake: FakeSlack | None = None, **options: Any) -> None:
        self.fake = fake or FakeSlack()
        self.options = options
        self.time = 100.0
        self.slept: list[float] = []

    async def __aenter__(self) -> Self:
        self.fake.start()
        self.fake.clock = lambda: self.time
        options = vol.Schema(dict(SlackSink.options))({"webhook_url": self.fake.webhook, **self.options})
        context = Context(account="bookshop", tenant="acme", route="alerts", now=lambda: NOW)
        self.sink = SlackSink(options, context)
        self.sink.clock = lambda: self.time
        self.sink.sleep = self.sleep
        await self.sink.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.sink.close()
        await self.fake.stop()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    async def deliver(self, type: str = model.ITEM_ERROR, **fields: Any) -> None:
        await self.sink.deliver(factory.make_delivery(type, route="alerts", **fields))
