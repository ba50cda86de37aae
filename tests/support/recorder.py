"""A sink that records each arrival on disk, with an fsync, before it returns."""

from __future__ import annotations

import asyncio
import functools
import os
from pathlib import Path

import orjson
import voluptuous as vol

from gateway import service
from gateway.dispatch import Tuning
from gateway.operate import alert_watch
from gateway.sink import Delivery, Sink
from tests.support.installed import install_sink

if seconds := os.environ.get("TEST_LEASE"):
    # Deliveries of a killed gateway wait for the end of their leases; a test would wait for half a minute.
    tuning = functools.partial(Tuning, shared_lease=float(seconds), heartbeat=float(seconds) / 3)
    service.Tuning = tuning  # type: ignore[misc,assignment]

if seconds := os.environ.get("TEST_ALERT_ROUNDS"):
    # A gateway that is killed again and again would hardly live until its first round.
    alert_watch.FIRST_ROUND_AFTER = alert_watch.ROUND_EVERY = float(seconds)
    alert_watch.LEASE = 2 * float(seconds)


class RecorderSink(Sink):
    """Appends a line per arrival: the delivery's key, signal id, lane and attempt."""

    name = "recorder"
    summary = "records each arrival in a file"
    concurrency = 8
    options = {vol.Required("file"): str}

    _file: int | None = None

    async def open(self) -> None:
        self._file = os.open(self.settings["file"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    async def deliver(self, delivery: Delivery) -> None:
        signal = delivery.signal
        arrival = {"key": delivery.key, "id": signal.id, "order": signal.order, "attempt": delivery.attempt}
        await asyncio.to_thread(self._append, orjson.dumps(arrival, option=orjson.OPT_APPEND_NEWLINE))

    def _append(self, line: bytes) -> None:
        assert self._file is not None
        os.write(self._file, line)
        os.fsync(self._file)

    async def close(self) -> None:
        if self._file is not None:  # a check closes what it has not opened
            os.close(self._file)


def install(folder: Path) -> None:
    """Make the sink known to a process that has `folder` on its path."""
    install_sink(folder, "recorder", "tests.support.recorder:RecorderSink")
