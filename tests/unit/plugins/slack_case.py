"""A slack sink with a fake Slack and fake clocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Self

from cloudsignal_slack import SlackSink
from gateway import signal_types
from gateway.sink import Context, Delivery, Shared, State
from tests.support import factory
from tests.support.fake_slack import CHANNEL, FakeSlack
from tests.support.sink_case import SinkCase

NOW = factory.AT.timestamp() + 60


class Case(SinkCase):
    """A context `async with Case(**options) as case`. `case.fake` has the messages, `case.slept` the skipped waits.

    `kept` is the state that a restart finds.
    """

    def __init__(self, fake: FakeSlack | None = None, *, bot: bool = False, **options: Any) -> None:
        self.fake = fake or FakeSlack()
        self.bot = bot
        self.options = options
        self.shared = Shared()
        self.kept: dict[str, Any] = {}
        self.time = 100.0
        self.slept: list[float] = []

    async def __aenter__(self) -> Self:
        self.fake.start()
        self.fake.clock = lambda: self.time
        self.sink = self.make()
        await self.sink.open()
        return self

    def make(self, route: str = "alerts", **options: Any) -> SlackSink:
        """Return a sink of this route, or of another route."""
        target: dict[str, Any] = {"webhook_url": self.fake.webhook}
        if self.bot:
            target = {"token": self.fake.token, "api_url": self.fake.api_url, "channel": CHANNEL}
        given = SlackSink.schema()({**target, **self.options, **options})
        context = Context("bookshop", "acme", route, State(self.kept), now=lambda: NOW, shared=self.shared)
        sink = SlackSink(given, context)
        sink.clock = lambda: self.time
        sink.sleep = self.sleep  # type: ignore[assignment]
        return sink

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def commit(self) -> None:
        self.kept |= json.loads(json.dumps(self.sink.state.take_changes()))

    async def restart(self) -> None:
        """Forget all uncommitted state, as SIGKILL does."""
        await self.sink.close()
        self.sink = self.make()

    async def deliver(self, type: str = signal_types.ITEM_ERROR, furthest: str = "", **fields: Any) -> None:
        await self.sink.deliver(make(type, furthest, **fields))

    async def deliver_all(self, deliveries: Sequence[Delivery]) -> Sequence[Exception | None]:
        return await self.sink.deliver_batch(deliveries)

    def heads(self) -> list[str]:
        """Return the present heading of each message, indented if it is in a thread."""
        return [
            ("  " if "thread_ts" in message else "") + message["blocks"][0]["text"]["text"]
            for message in self.fake.messages
        ]


def make(type: str = signal_types.ITEM_ERROR, furthest: str = "", **fields: Any) -> Delivery:
    signal = factory.make_signal(type, **fields)
    return Delivery(signal, "alerts", 1, factory.AT.timestamp(), furthest=furthest)


def many(count: int, type: str = signal_types.ITEM_ERROR, first: int = 0, **fields: Any) -> list[Delivery]:
    """Make deliveries of different orders."""
    return [
        make(type, order=str(number), order_reference=f"PO-{number}", id=number + 1, **fields)
        for number in range(first, first + count)
    ]
