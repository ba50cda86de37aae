"""The sink: who is told what, one by one or many at once, at the pace that Slack allows."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from cloudsignal_slack.answers import ThreadGone
from cloudsignal_slack.digest import build_digest
from cloudsignal_slack.message import Message, build_message, build_root
from cloudsignal_slack.options import OPTIONS, channel_of, check_together, link_of, mentions_of, severity
from cloudsignal_slack.pace import Burst, Workspace
from cloudsignal_slack.threads import Thread, Threads
from cloudsignal_slack.voice import Bot, Voice, Webhook
from gateway.sink import (
    ALERTS,
    Check,
    Context,
    Delivery,
    HttpSink,
    Permanent,
    RecentDeliveries,
    Response,
    RetryLater,
    SinkError,
)

WORK_FOR = 45.0
"""Seconds after which a batch leaves the rest to the next: an attempt's time must hold a wait for a digest, too."""

T = TypeVar("T")


class SlackSink(HttpSink):
    """Tells a channel of each signal, by an incoming webhook or as a bot. What it looks like: README.md.

    `state` has what the last batch said (and, for a bot, the orders' threads), set as each message is out, so that an
    attempt that is cut short does not say it again. Slack itself has no idempotency: a message whose answer was lost is
    sent again, and may be there twice.
    """

    name = "slack"
    summary = "messages in Slack channels for errors and cancellations"
    signals = ALERTS
    order = "none"
    options = OPTIONS
    timeout = 120.0
    batch = 500
    concurrency = 1

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__(options, context)
        self.clock = time.monotonic
        self.sleep = asyncio.sleep
        self.bot: Bot | None = None
        self.voice: Voice = self._find_voice()
        self.workspace = context.shared.get(self.voice.workspace, Workspace)
        self.threads = Threads(self.state)
        self._recent = RecentDeliveries(self.state, "said")
        self._bursts: defaultdict[str, Burst] = defaultdict(Burst)
        self._turn = asyncio.Lock()

    @classmethod
    def check_together(cls, options: Mapping[str, Any]) -> None:
        """Whether the options go together."""
        check_together(options)

    def _find_voice(self) -> Voice:
        if "webhook_url" in self.settings:
            return Webhook(self.settings["webhook_url"].reveal(), self._post, self.context.now)
        self.bot = Bot(self.settings["token"].reveal(), self.settings["api_url"], self._post, self.context.now)
        return self.bot

    async def check(self) -> Check:
        """Whether Slack knows the webhook or the token; nothing is posted."""
        return await self.voice.check()

    async def deliver(self, delivery: Delivery) -> None:
        """Tell of one signal."""
        (answer,) = await self.deliver_batch([delivery])
        if answer is not None:
            raise answer

    async def deliver_batch(self, deliveries: Sequence[Delivery]) -> Sequence[Exception | None]:
        """Tell of each signal, or of many at once; an answer for each."""
        async with self._turn:
            fresh = self._recent.start_batch(deliveries)
            channels: defaultdict[str, list[Delivery]] = defaultdict(list)
            for delivery in fresh.values():
                channels[channel_of(self.settings, self.context, delivery.signal)].append(delivery)
            failed: dict[str, Exception] = {}
            until = self.clock() + WORK_FOR
            for channel, group in channels.items():
                failed |= await self._tell(channel, group, until)
            return [failed.get(delivery.stamp) for delivery in deliveries]

    async def _tell(self, channel: str, group: Sequence[Delivery], until: float) -> dict[str, Exception]:
        """Tell a channel; what went wrong, by delivery. One that Slack will never take does not hold up the others."""
        burst, most = self._bursts[channel], self.settings["digest"]
        try:
            if most and burst.recent(self.clock()) + len(group) > most:
                await self.sleep(burst.wait_for_digest(self.clock()))
                if len(group) > 1:
                    await self._tell_digest(channel, group, burst)
                    self._recent.add(group)
                    return {}
                burst.note_digest(self.clock())
        except SinkError as error:
            return {delivery.stamp: error for delivery in group}
        failed: dict[str, Exception] = {}
        for number, delivery in enumerate(group):
            try:
                if number and self.clock() > until:
                    raise RetryLater("the rest comes with the next turn", 0.0, healthy=True)
                await self._tell_one(channel, delivery)
            except Permanent as error:
                failed[delivery.stamp] = error
            except SinkError as error:
                return failed | {left.stamp: error for left in group[number:]}
            else:
                burst.note(self.clock(), 1)
                self._recent.add([delivery])
        return failed

    # -- what is said

    async def _tell_digest(self, channel: str, group: Sequence[Delivery], burst: Burst) -> None:
        message = build_digest(group, mentions_of(self.settings, *group), self.settings.get("console_url", ""))
        await self._say(channel, message)
        burst.note(self.clock(), len(group))
        burst.note_digest(self.clock())

    async def _tell_one(self, channel: str, delivery: Delivery) -> None:
        order = delivery.signal.order or delivery.signal.order_reference
        mentions, link = mentions_of(self.settings, delivery), link_of(self.settings, delivery.signal)
        if self.bot is None or not order:
            await self._say(channel, build_message(delivery, mentions, link))
            return
        try:
            await self._tell_in_thread(self.bot, channel, order, delivery)
        except ThreadGone:
            self.threads.forget(channel, order)
            try:
                await self._tell_in_thread(self.bot, channel, order, delivery)
            except ThreadGone as error:
                raise RetryLater(str(error)) from error

    async def _tell_in_thread(self, bot: Bot, channel: str, order: str, delivery: Delivery) -> None:
        """The root says how far the order is; what happened is below it, and trouble in the channel too."""
        mentions, link = mentions_of(self.settings, delivery), link_of(self.settings, delivery.signal)
        thread, begun = self.threads.find(channel, order), self.state.get("begun")
        if thread is None:
            thread = await self._say(channel, build_root(delivery, mentions, link))
            assert thread is not None
            self.threads.keep(channel, order, thread)
            self.state.set("begun", delivery.stamp)
            await self._say(channel, build_message(delivery, (), link), thread)
            return
        first = begun == delivery.stamp
        if self.state.get("replied") != delivery.stamp:
            trouble = severity(delivery.signal) != "other" and not first
            reply = build_message(delivery, () if first else mentions, link)
            thread = await self._say(channel, reply, thread, trouble) or thread
            self.state.set("replied", delivery.stamp)
            self.threads.keep(channel, order, thread)
        await self._paced(channel, partial(bot.change, thread, build_root(delivery, (), link)))

    # -- pace

    async def _say(
        self, channel: str, message: Message, thread: Thread | None = None, broadcast: bool = False
    ) -> Thread | None:
        return await self._paced(channel, lambda: self.voice.say(channel, message, thread, broadcast))

    async def _paced(self, channel: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call in the channel's turn, unless Slack asked for a pause."""
        await self.sleep(self.workspace.take_turn(self.voice.channel(channel), self.clock()))
        self.workspace.respect_pause(self.clock())
        return await call()

    async def _post(self, url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
        response = await self.request("POST", url, json=body, headers=headers)
        if response.status == 429:
            self.workspace.pause(self.clock(), response.retry_after(self.context.now()) or 0.0)
        return response
