"""The sink: each delivery told to each service once, on a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apprise
import voluptuous as vol

from cloudsignal_apprise.services import Message, Service, is_known
from cloudsignal_apprise.text import BODY, TITLE, fill, template
from gateway.sink import ALERTS, Check, Context, Delivery, RetryLater, Secret, SecretValue, Sink, signal_type

AT_MOST = 20
LONGEST = 50.0
"""Seconds that one service gets: below the attempt's time."""
KINDS = {
    "info": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "failure": apprise.NotifyType.FAILURE,
    "canceled": apprise.NotifyType.FAILURE,
}
"""Apprise's kind of message for each severity."""

MOST_RECENT = 200
"""Deliveries remembered at the most, with the services that took them."""


def service_url(value: str) -> str:
    if not is_known(value):
        raise vol.Invalid("expected a URL that Apprise knows, such as mailto://user:password@example.com")
    return value


def service_urls(value: object) -> tuple[SecretValue, ...]:
    """One, or a list."""
    entries = value if isinstance(value, (list, tuple)) else [value]
    if not 1 <= len(entries) <= AT_MOST:
        raise vol.Invalid(f"expected a URL, or a list of at most {AT_MOST}")
    return tuple(map(Secret(service_url), entries))


class AppriseSink(Sink):
    """Tells services by Apprise, which says whether one took the message, and little of why not.

    `state` has which services took the latest deliveries: where one fails, the others are not told again. A message
    whose answer was lost may be there twice, for the services can't tell.
    """

    name = "apprise"
    summary = "a message by mail, Teams, Discord or any other service that Apprise knows"
    signals = ALERTS
    order = "none"
    concurrency = 1
    timeout = 120.0
    options = {
        vol.Required("urls"): service_urls,
        vol.Optional("title", default=TITLE): template,
        vol.Optional("body", default=BODY): template,
    }

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__(options, context)
        self._services = [Service(url.reveal(), number) for number, url in enumerate(options["urls"])]
        # One, since Apprise paces a service's messages by sleeping; of its own, so that it holds up nobody else.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="apprise")

    async def deliver(self, delivery: Delivery) -> None:
        """Tell each service that was not told yet; RetryLater where one did not take it."""
        message = self.message(delivery)
        failed = []
        for service in self._services:
            told = self._told(delivery)
            if service.label in told:
                continue
            reason = await self._run(service, message)
            if reason:
                failed.append(f"{service.label} {reason}")
            else:
                self._remember(delivery, [*told, service.label])
        if failed:
            raise RetryLater("; ".join(failed))

    def message(self, delivery: Delivery) -> Message:
        kind = KINDS[signal_type(delivery.signal.type).severity]
        return Message(fill(self.settings["title"], delivery), fill(self.settings["body"], delivery), kind)

    async def _run(self, service: Service, message: Message) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._thread, service.tell, message, LONGEST)

    def _told(self, delivery: Delivery) -> list[str]:
        told: list[str] = self.state.get("told", {}).get(delivery.stamp, [])
        return told

    def _remember(self, delivery: Delivery, labels: list[str]) -> None:
        kept = {**self.state.get("told", {}), delivery.stamp: labels}
        self.state.set("told", dict(list(kept.items())[-MOST_RECENT:]))

    async def check(self) -> Check:
        """That the URLs are understood. No service can be asked without telling it something."""
        labels = (
            f"{service.label}: understood; that it takes messages shows with the first" for service in self._services
        )
        return Check(True, tuple(labels))

    async def close(self) -> None:
        """Let go of the thread; a message that is being sent is."""
        self._thread.shutdown(wait=False, cancel_futures=True)
