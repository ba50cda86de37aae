"""A sink that accepts everything at once: the rest is the gateway's own work."""

from __future__ import annotations

from pathlib import Path

from gateway.sink import Delivery, Sink

ENTRY_POINT = "[cloudsignal.sinks]\ndiscard = tests.bench.discard:DiscardSink\n"


class DiscardSink(Sink):
    """Accept every delivery."""

    name = "discard"
    summary = "accepts and drops every delivery"
    concurrency = 64

    async def deliver(self, delivery: Delivery) -> None:
        return


def install(folder: Path) -> None:
    """Make the sink known to a process that has `folder` on its path, as an installed package would."""
    info = folder / "discard_for_benches-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: discard-for-benches\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINT)
