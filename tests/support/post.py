"""A sink that posts each delivery to a URL, with short limits: for tests of targets that misbehave."""

from __future__ import annotations

from pathlib import Path

import voluptuous as vol

from gateway.sink import Delivery, HttpSink, Permanent, Url

ENTRY_POINT = "[cloudsignal.sinks]\npost = tests.support.post:PostSink\n"


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


def install(folder: Path) -> None:
    """Make the sink known to a process that has `folder` on its path, as an installed package would."""
    info = folder / "post_for_tests-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: post-for-tests\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINT)
