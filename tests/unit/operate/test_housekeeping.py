"""Housekeeping removes old signals while the gateway serves, and none of its errors ends the gateway."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.clock import Clock
from gateway.config import load_config
from gateway.errors import StoreError
from gateway.operate import housekeeping
from gateway.service import Service
from gateway.store import Settings, Store, open_store
from gateway.store.values import DroppedPartition, Filter, Purged
from tests.support.factory import make_signal

pytestmark = pytest.mark.gen_test
NOW = 1_800_000_000.0
CONFIG = """\
server: {listen: 127.0.0.1:0}
store: {url: "sqlite:///PATH/gateway.db", retention: 10d}
accounts: {bookshop: {keys: [a-key-for-the-test]}}
"""


class Purges:
    """A store with some pages of old signals, which may fail."""

    def __init__(self, pages: int, *errors: Exception) -> None:
        self.pages = pages
        self.errors = list(errors)
        self.asked: list[tuple[float, int, bool]] = []
        self.made: list[tuple[float, float]] = []
        self.partitions: list[DroppedPartition | StoreError] = []
        self.done = asyncio.Event()

    async def make_partitions(self, now: float, retention: float) -> int:
        self.made.append((now, retention))
        return 1

    async def drop_partitions(self, before: float, dead: bool) -> AsyncIterator[DroppedPartition]:
        for partition in self.partitions:
            if isinstance(partition, StoreError):
                raise partition
            yield partition

    async def purge_actions(self, before: float, limit: int) -> int:
        self.actions_before = before
        return 0

    async def purge_orders(self, before: float, limit: int) -> int:
        self.orders_before = before
        return 0

    async def purge(self, before: float, after: int, limit: int, dead: bool, unpartitioned: bool) -> Purged:
        assert unpartitioned, "rows of a partition are removed with it"
        self.asked.append((before, after, dead))
        if self.errors:
            raise self.errors.pop()
        if after == self.pages:
            self.done.set()
            return Purged(0, 0, None)
        return Purged(2, 3, after + 1)


async def test_a_round_goes_on_until_no_old_signal_is_left() -> None:
    store = Purges(3)
    with capture_logs() as logs:
        await housekeeping.clean_up(store, NOW)  # type: ignore[arg-type]
    assert store.asked == [(NOW, 0, False), (NOW, 1, False), (NOW, 2, False), (NOW, 3, False)]
    assert store.actions_before == store.orders_before == NOW
    assert [(line["event"], line["signals"], line["deliveries"]) for line in logs] == [("store.purged", 6, 9)]


async def test_each_dropped_partition_is_logged_and_a_failure_does_not_stop_the_round() -> None:
    store = Purges(1)
    store.partitions += [
        DroppedPartition(NOW - 86400, NOW, 5, 7, 1),
        DroppedPartition(NOW, NOW + 86400, 0, 0, None),
        StoreError("busy"),
    ]
    with capture_logs() as logs:
        await housekeeping.clean_up(store, NOW)  # type: ignore[arg-type]
    dropped, kept, failed, purged = logs
    assert dropped == {
        "event": "store.partition_dropped",
        "log_level": "info",
        "since": "2027-01-14",
        "until": "2027-01-15",
        "signals": 5,
        "deliveries": 7,
        "kept": 1,
    }
    assert (kept["event"], kept["since"], kept["log_level"]) == ("store.partition_kept", "2027-01-15", "warning")
    assert (failed["event"], failed["reason"], purged["signals"]) == ("store.partitions_failed", "busy", 2)


async def test_a_round_without_old_signals_logs_nothing() -> None:
    with capture_logs() as logs:
        await housekeeping.clean_up(Purges(0), NOW)  # type: ignore[arg-type]
    assert logs == []


@pytest.mark.parametrize("error", [StoreError("locked"), ZeroDivisionError()])
async def test_a_round_that_fails_is_followed_by_another(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(housekeeping, "FIRST_ROUND_AFTER", 0)
    monkeypatch.setattr(housekeeping, "ROUND_EVERY", 0)
    store = Purges(0, error)
    with capture_logs() as logs:
        rounds = asyncio.ensure_future(housekeeping.keep_house(store, lambda: 10.0, lambda: NOW))  # type: ignore[arg-type]
        await store.done.wait()
        rounds.cancel()
    assert (store.made[0], store.asked[0]) == ((NOW, 10.0), (NOW - 10, 0, False))
    assert [line["event"] for line in logs[:2]] == ["store.partitions_made", "store.purge_failed"]


@pytest.mark.parametrize(("ahead", "kept"), [(0.0, 1), (86400 * 365.0, 1), (-86400 * 5.0, 2)])
async def test_housekeeping_uses_the_earlier_of_two_clocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float, kept: int
) -> None:
    """A clock set a year ahead would remove all signals; by one set back, the second signal is not old yet."""
    (tmp_path / "gateway.yaml").write_text(CONFIG.replace("PATH", str(tmp_path)))
    await with_store(tmp_path, lambda store: take(store, 12, 5))
    monkeypatch.setattr(housekeeping, "FIRST_ROUND_AFTER", 0)
    cleaned, clean_up = asyncio.Event(), housekeeping.clean_up

    async def tell(store: Store, before: float) -> None:
        await clean_up(store, before)
        cleaned.set()

    monkeypatch.setattr(housekeeping, "clean_up", tell)
    wall = [NOW]
    clock = Clock(wall=lambda: wall[0], steady=lambda: 0.0)
    wall[0] += ahead
    service = Service(load_config(tmp_path / "gateway.yaml"), clock, random.Random(0))
    await service.start()
    stop = asyncio.Event()
    serving = asyncio.ensure_future(service.serve(stop))
    try:
        await cleaned.wait()
        assert len(await service.store.list_signals(Filter(), 10)) == kept
    finally:
        stop.set()
        await serving
        await service.stop()


async def take(store: Store, *days: float) -> None:
    for number, age in enumerate(days):
        received = datetime.fromtimestamp(NOW - 86400 * age, UTC)
        signal = replace(make_signal(account="bookshop", order=str(number)), received_at=received)
        await store.accept(signal, [], [], False)


async def with_store(folder: Path, work: Callable[[Store], object]) -> None:
    store = open_store(Settings(f"sqlite:///{folder}/gateway.db"))
    try:
        await work(store)  # type: ignore[misc]
    finally:
        await store.close()
