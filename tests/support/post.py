"""A sink with short timeouts that posts each delivery to a URL, for tests of targets that misbehave."""

from __future__ import annotations

from pathlib import Path

import voluptuous as vol

from gateway.sink import Delivery, HttpSink, Permanent, Url
from tests.support.installed import install_sink


class PostSink(HttpSink):
    """Posts the delivery's key, signal id, order and attempt."""

    name = "post"
    summary = "posts each delivery"
    timeout = 3.0
    read_timeout = 2.0
    options = {vol.Required("url"): Url()}

    async def deliver(self, delivery: Delivery) -> None:
        signal = delivery.signal
        sent = {"key": delivery.key, "id": signal.id, "order": signal.order, "attempt": delivery.attempt}
        answer = await self.request("POST", self.settings["url"], json=sent)
        answer.raise_for_retry(self.context.now())
        if answer.status >= 400:
            raise Permanent(f"answered {answer.status}")


class PatientSink(PostSink):
    """Waits for an answer for longer than a test takes."""

    name = "patient"
    timeout = 600.0
    read_timeout = 600.0


def install(folder: Path) -> None:
    """Make the sinks known to a process that has `folder` on its path."""
    install_sink(folder, "post", "tests.support.post:PostSink")
    install_sink(folder, "patient", "tests.support.post:PatientSink")
