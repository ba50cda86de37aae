"""A sink that accepts everything at once, so that only the gateway's own work is measured."""

from __future__ import annotations

from pathlib import Path

from gateway.sink import Delivery, Sink
from tests.support.installed import install_sink


class DiscardSink(Sink):
    """Accept every delivery."""

    name = "discard"
    summary = "accepts and drops every delivery"
    concurrency = 64

    async def deliver(self, delivery: Delivery) -> None:
        return


def install(folder: Path) -> None:
    """Make the sink known to a process that has `folder` on its path."""
    install_sink(folder, "discard", "tests.bench.discard:DiscardSink")
