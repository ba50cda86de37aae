"""The Slack sink, held to the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudsignal_slack import SlackSink
from gateway.sink import Context, Sink
from gateway.testing import Answer, HttpSinkContract, HttpTarget
from tests.support.fake_slack import FakeSlack


class Workspace(HttpTarget):
    rejects = Answer(400, "invalid_blocks")
    refuses = Answer(403, "invalid_token")

    def __init__(self) -> None:
        self.slack = FakeSlack()
        super().__init__(self.slack)

    def options(self) -> Mapping[str, Any]:
        return {"webhook_url": self.slack.webhook, "mention": "here"}

    def seen(self) -> Sequence[Any]:
        return self.slack.messages


class TestSlack(HttpSinkContract):
    sink = SlackSink
    repeats = "an incoming webhook can't tell that a message comes twice"

    def make_target(self, folder: Path) -> HttpTarget:
        return Workspace()

    def make_sink(self, options: Mapping[str, Any], context: Context) -> Sink:
        sink = SlackSink(options, context)
        sink.clock = context.now
        sink.sleep = no_sleep  # type: ignore[assignment]
        return sink


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)
