"""The slack sink passes the conformance suite, by webhook and as a bot."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudsignal_slack import SlackSink
from gateway.sink import Context, Sink
from gateway.testing import Answer, HttpSinkContract, HttpTarget
from tests.support.fake_slack import CHANNEL, FakeSlack, failure


class Workspace(HttpTarget):
    rejection = Answer(400, "invalid_blocks")
    refusal = Answer(403, "invalid_token")

    def __init__(self) -> None:
        self.slack = FakeSlack()
        super().__init__(self.slack)

    def options(self) -> Mapping[str, Any]:
        return {"webhook_url": self.slack.webhook, "mention": "here"}

    def effects(self) -> Sequence[Any]:
        return self.slack.messages


class Bot(Workspace):
    rejection = failure("invalid_blocks")
    refusal = failure("invalid_auth")

    def options(self) -> Mapping[str, Any]:
        return {"token": self.slack.token, "channel": CHANNEL, "api_url": self.slack.api_url}

    def effects(self) -> Sequence[Any]:
        """Return the messages, and for each if it is in a thread. Names of threads differ between runs."""
        return [{**message, "thread_ts": "thread_ts" in message} for message in self.slack.messages]


class TestSlack(HttpSinkContract):
    sink = SlackSink
    duplicates_because = "Slack can't tell that a message comes twice"

    def make_target(self, folder: Path) -> HttpTarget:
        return Workspace()

    def make_sink(self, options: Mapping[str, Any], context: Context) -> Sink:
        sink, passing = SlackSink(options, context), Passing(context)
        sink.clock = passing.clock
        sink.sleep = passing.sleep  # type: ignore[assignment]
        return sink


class TestSlackBot(TestSlack):
    """The conformance suite for the bot, with threads."""

    def make_target(self, folder: Path) -> HttpTarget:
        return Bot()


class Passing:
    """A clock that the sink's sleeps move at once."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.slept = 0.0

    def clock(self) -> float:
        return self.context.now() + self.slept

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        await asyncio.sleep(0)
