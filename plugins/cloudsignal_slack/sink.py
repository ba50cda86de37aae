"""The sink: posts each signal, or many as one digest, within Slack's rate limits."""

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
from cloudsignal_slack.options import Settings, channel_of, check_together, link_of, mentions_of, severity
from cloudsignal_slack.posters import BotPoster, Poster, WebhookPoster
from cloudsignal_slack.rate_limits import Burst, Workspace
from cloudsignal_slack.threads import Thread, Threads
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
    options_of,
)

BATCH_SECONDS = 45.0
"""Seconds after which the rest of a batch is left to the next. With the wait for a digest (60 s) this is below the
timeout of an attempt (120 s)."""

T = TypeVar("T")


class SlackSink(HttpSink):
    """Posts a message for each signal, by an incoming webhook or as a bot. README.md shows the messages.

    `state` has the posted deliveries of the last batch and, for a bot, the threads of the orders. It is set after each
    message, so that an attempt that is cut short does not post it again. Slack offers no idempotency key: a message is
    sent again if its answer was lost, and may be there twice.
    """

    name = "slack"
    summary = "messages in Slack channels for errors and cancellations"
    signals = ALERTS
    order = "none"
    sample = {"webhook_url": "!file secrets/slack-url", "mention": "[here]"}
    options = options_of(Settings)
    timeout = 120.0
    batch = 500
    concurrency = 1

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__(options, context)
        self.slack = Settings(**options)
        self.clock = time.monotonic
        self.sleep = asyncio.sleep
        self.bot: BotPoster | None = None
        self.poster: Poster = self._make_poster()
        self.workspace = context.shared.get(self.poster.workspace, Workspace)
        self.threads = Threads(self.state)
        self._recent = RecentDeliveries(self.state, "said")
        self._bursts: defaultdict[str, Burst] = defaultdict(Burst)
        self._turn = asyncio.Lock()

    @classmethod
    def check_together(cls, options: Mapping[str, Any]) -> None:
        """Check the options that depend on each other."""
        check_together(options)

    def _make_poster(self) -> Poster:
        if self.slack.token is None:
            assert self.slack.webhook_url is not None  # by check_together
            return WebhookPoster(self.slack.webhook_url.reveal(), self._post_json, self.context.now)
        self.bot = BotPoster(self.slack.token.reveal(), self.slack.api_url, self._post_json, self.context.now)
        return self.bot

    async def check(self) -> Check:
        """Ask Slack if it knows the webhook or the token. Nothing is posted."""
        return await self.poster.check()

    async def deliver(self, delivery: Delivery) -> None:
        """Post one signal."""
        (answer,) = await self.deliver_batch([delivery])
        if answer is not None:
            raise answer

    async def deliver_batch(self, deliveries: Sequence[Delivery]) -> Sequence[Exception | None]:
        """Post each signal, or many as one digest. Return a result for each."""
        async with self._turn:
            fresh = self._recent.start_batch(deliveries)
            channels: defaultdict[str, list[Delivery]] = defaultdict(list)
            for delivery in fresh.values():
                channels[channel_of(self.slack, self.context, delivery.signal)].append(delivery)
            failed: dict[str, Exception] = {}
            until = self.clock() + BATCH_SECONDS
            for channel, group in channels.items():
                failed |= await self._post_group(channel, group, until)
            return [failed.get(delivery.stamp) for delivery in deliveries]

    async def _post_group(self, channel: str, group: Sequence[Delivery], until: float) -> dict[str, Exception]:
        """Post to a channel and return the errors by stamp. A permanent error does not stop the next signals."""
        burst, limit = self._bursts[channel], self.slack.digest
        try:
            if limit and burst.recent(self.clock()) + len(group) > limit:
                await self.sleep(burst.wait_for_digest(self.clock()))
                if len(group) > 1:
                    await self._post_digest(channel, group, burst)
                    self._recent.add(group)
                    return {}
                burst.add_digest(self.clock())
        except SinkError as error:
            return {delivery.stamp: error for delivery in group}
        return await self._post_each(channel, group, burst, until)

    async def _post_each(
        self, channel: str, group: Sequence[Delivery], burst: Burst, until: float
    ) -> dict[str, Exception]:
        """Post a message for each signal and return the errors by stamp."""
        failed: dict[str, Exception] = {}
        for number, delivery in enumerate(group):
            try:
                if number and self.clock() > until:
                    raise RetryLater("left to the next batch", 0.0, healthy=True)
                await self._post_signal(channel, delivery)
            except Permanent as error:
                failed[delivery.stamp] = error
            except SinkError as error:
                return failed | {left.stamp: error for left in group[number:]}
            else:
                burst.add(self.clock(), 1)
                self._recent.add([delivery])
        return failed

    # -- messages

    async def _post_digest(self, channel: str, group: Sequence[Delivery], burst: Burst) -> None:
        message = build_digest(group, mentions_of(self.slack, *group), self.slack.console_url)
        await self._post_message(channel, message)
        burst.add(self.clock(), len(group))
        burst.add_digest(self.clock())

    async def _post_signal(self, channel: str, delivery: Delivery) -> None:
        order = delivery.signal.order or delivery.signal.order_reference
        mentions, link = mentions_of(self.slack, delivery), link_of(self.slack, delivery.signal)
        if self.bot is None or not order:
            await self._post_message(channel, build_message(delivery, mentions, link))
            return
        try:
            await self._post_in_thread(self.bot, channel, order, delivery)
        except ThreadGone:
            self.threads.forget(channel, order)
            try:
                await self._post_in_thread(self.bot, channel, order, delivery)
            except ThreadGone as error:
                raise RetryLater(str(error)) from error

    async def _post_in_thread(self, bot: BotPoster, channel: str, order: str, delivery: Delivery) -> None:
        """Reply with the signal in the order's thread, begun if need be, and update the root to the order's state.

        A problem is shown in the channel too. `begun` and `replied` in the state name the delivery with a posted root
        or reply, so that a repeated attempt goes on after it.
        """
        mentions, link = mentions_of(self.slack, delivery), link_of(self.slack, delivery.signal)
        thread, begun = self.threads.find(channel, order), self.state.get("begun")
        if thread is None:
            thread = await self._post_message(channel, build_root(delivery, mentions, link))
            assert thread is not None
            self.threads.keep(channel, order, thread)
            self.state.set("begun", delivery.stamp)
            await self._post_message(channel, build_message(delivery, (), link), thread)
            return
        first = begun == delivery.stamp
        if self.state.get("replied") != delivery.stamp:
            broadcast = severity(delivery.signal) != "other" and not first
            reply = build_message(delivery, () if first else mentions, link)
            thread = await self._post_message(channel, reply, thread, broadcast) or thread
            self.state.set("replied", delivery.stamp)
            self.threads.keep(channel, order, thread)
        await self._call_in_turn(channel, partial(bot.update, thread, build_root(delivery, (), link)))

    # -- calls

    async def _post_message(
        self, channel: str, message: Message, thread: Thread | None = None, broadcast: bool = False
    ) -> Thread | None:
        return await self._call_in_turn(channel, lambda: self.poster.post(channel, message, thread, broadcast))

    async def _call_in_turn(self, channel: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call when it is the channel's turn. Raises RetryLater during a pause."""
        await self.sleep(self.workspace.reserve_turn(self.poster.rate_key(channel), self.clock()))
        self.workspace.respect_pause(self.clock())
        return await call()

    async def _post_json(self, url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
        response = await self.request("POST", url, json=body, headers=headers)
        if response.status == 429:
            self.workspace.pause(self.clock(), response.retry_after(self.context.now()) or 0.0)
        return response
