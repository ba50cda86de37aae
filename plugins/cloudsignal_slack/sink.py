"""The sink: one message at a time, at the pace that Slack allows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from cloudsignal_slack.answers import NOTHING_TO_POST, code_of, judge
from cloudsignal_slack.message import build_message
from cloudsignal_slack.options import OPTIONS
from gateway.sink import ALERTS, Check, Context, Delivery, HttpSink, Misconfigured, Response, RetryLater, SinkError

SPACING = 1.0
"""Seconds between messages: Slack allows one a second to a channel (docs: Rate limits)."""

LONGEST_PAUSE = 3600.0


class SlackSink(HttpSink):
    """Posts a message a signal to an incoming webhook. What it looks like: README.md.

    A webhook has no idempotency: a message whose answer was lost is sent again, and may be there twice.
    """

    name = "slack"
    summary = "a message in a Slack channel for errors and cancellations"
    signals = ALERTS
    order = "none"
    options = OPTIONS
    concurrency = 1
    connections = 1

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__(options, context)
        self.clock = time.monotonic
        self.sleep = asyncio.sleep
        self._turn = asyncio.Lock()
        self._next_at = float("-inf")
        self._closed_until = float("-inf")

    async def deliver(self, delivery: Delivery) -> None:
        """Post the message, after Slack's own pause if it asked for one."""
        message = build_message(delivery, self.settings["mention"])
        async with self._turn:
            self._respect_pause()
            await self._space_out()
            response = await self._post(message)
            self._remember_pause(response)
        judge(response, self.context.now())

    async def check(self) -> Check:
        """Send a message with nothing in it, which Slack refuses: nothing is posted, yet an unknown webhook shows."""
        try:
            response = await self._post({"text": ""})
            if response.status == 400 and code_of(response) in NOTHING_TO_POST:
                return Check(True, ("Slack knows the webhook; that its channel takes messages shows with the first",))
            judge(response, self.context.now())
        except (Misconfigured, RetryLater) as error:
            return Check(False, (str(error),))
        except SinkError as error:
            return Check(True, (f"{error}: reachable, but the webhook can't be tested without posting",))
        return Check(True, ("the webhook answers",))

    async def _post(self, message: Mapping[str, Any]) -> Response:
        return await self.request("POST", self.settings["webhook_url"].reveal(), json=message)

    def _respect_pause(self) -> None:
        """RetryLater, without a call, while Slack wants none: those who keep calling are shut out for longer."""
        left = self._closed_until - self.clock()
        if left > 0:
            raise RetryLater("Slack asked for a pause", left)

    def _remember_pause(self, response: Response) -> None:
        if response.status == 429:
            asked = response.retry_after(self.context.now()) or 0.0
            self._closed_until = self.clock() + min(asked, LONGEST_PAUSE)

    async def _space_out(self) -> None:
        await self.sleep(max(0.0, self._next_at - self.clock()))
        self._next_at = self.clock() + SPACING
