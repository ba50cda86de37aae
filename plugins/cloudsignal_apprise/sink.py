"""The sink: sends each delivery to each service once, on threads of its own."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apprise

from cloudsignal_apprise.options import Settings
from cloudsignal_apprise.services import Message, Service
from cloudsignal_apprise.text import fill
from gateway.sink import ALERTS, Check, Context, Delivery, RetryLater, Sink, is_cleared, options_of, severity_of

SERVICE_TIMEOUT = 50.0
"""Seconds that one service gets. Two silent services still fit into an attempt (120 s)."""
KINDS = {
    "info": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "failure": apprise.NotifyType.FAILURE,
    "canceled": apprise.NotifyType.FAILURE,
}
"""Apprise's kind of message for each severity."""

MAX_REMEMBERED = 200
"""Deliveries remembered with the services that took them. As one runs at a time, only retries need the memory."""


class AppriseSink(Sink):
    """Sends messages through Apprise, which tells if a service took one, but seldom the reason if not.

    `state` has the services that took the latest deliveries: if one service fails, the others get no second message.
    A message may still arrive twice if its answer was lost, because services do not recognise repeated messages.
    """

    name = "apprise"
    summary = "a message by mail, Teams, Discord or any other service that Apprise knows"
    signals = ALERTS
    order = "none"
    concurrency = 1
    timeout = 120.0
    sample = {"urls": "[!file secrets/mail-url]"}
    options = options_of(Settings)

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__(options, context)
        self.apprise = Settings(**options)
        # Apprise blocks, and may hang. Threads of its own, one a service, so that it delays no other sink or service.
        self._threads = ThreadPoolExecutor(len(self.apprise.urls), thread_name_prefix="apprise")
        self._services = [Service(url.reveal(), number, self._threads) for number, url in enumerate(self.apprise.urls)]

    async def deliver(self, delivery: Delivery) -> None:
        """Send to each service that has not taken the delivery yet. Raises RetryLater if one does not take it."""
        message = self.message(delivery)
        failed = []
        for service in self._services:
            done = self._done(delivery)
            if service.label in done:
                continue
            reason = await service.send(message, SERVICE_TIMEOUT)
            if reason:
                failed.append(f"{service.label} {reason}")
            else:
                self._remember(delivery, [*done, service.label])
        if failed:
            raise RetryLater("; ".join(failed))

    def message(self, delivery: Delivery) -> Message:
        """Return the message for a delivery."""
        kind = apprise.NotifyType.SUCCESS if is_cleared(delivery.signal) else KINDS[severity_of(delivery.signal)]
        return Message(fill(self.apprise.title, delivery), fill(self.apprise.body, delivery), kind)

    def _done(self, delivery: Delivery) -> list[str]:
        done: list[str] = self.state.get("told", {}).get(delivery.stamp, [])
        return done

    def _remember(self, delivery: Delivery, labels: list[str]) -> None:
        kept = {**self.state.get("told", {}), delivery.stamp: labels}
        self.state.set("told", dict(list(kept.items())[-MAX_REMEMBERED:]))

    async def check(self) -> Check:
        """Report that the URLs are valid. No service can be asked without sending it a message."""
        labels = (
            f"{service.label}: the URL is valid; the first message will show if it takes messages"
            for service in self._services
        )
        return Check(True, tuple(labels))

    async def close(self) -> None:
        """End the threads after the messages that they are sending."""
        self._threads.shutdown(wait=False, cancel_futures=True)
