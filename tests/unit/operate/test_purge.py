"""A purge removes partitions, then rows, then quarantined requests, and is recorded once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from gateway.errors import StoreError
from gateway.operate.purge import PurgeRequest, Removed, count_purgeable, purge_store
from gateway.store.values import DroppedPartition, Purged

pytestmark = [pytest.mark.gen_test, pytest.mark.usefixtures("restless")]
NOW = 1_800_000_000.0
ALL = PurgeRequest(NOW - 86400.0, dead=True, quarantine=True)


class FakeStore:
    """A store with one old partition, two batches of old rows and one of quarantined requests."""

    def __init__(self, locked: bool = False) -> None:
        self.locked = locked
        self.quarantined = [4]
        self.orders = [0, 2, 200]
        self.asked: list[tuple[Any, ...]] = []
        self.actions: list[tuple[str, Mapping[str, Any], float]] = []

    async def drop_partitions(self, before: float, dead: bool) -> AsyncIterator[DroppedPartition]:
        self.asked.append(("drop_partitions", before, dead))
        if self.locked:
            raise StoreError("locked")
        yield DroppedPartition(0.0, 1.0, 100, 200, 0)

    async def purge(self, before: float, after: int, limit: int, dead: bool, unpartitioned: bool) -> Purged:
        self.asked.append(("purge", before, after, dead, unpartitioned))
        return Purged(1, 2, 50) if after == 0 else Purged(3, 3, None)

    async def purge_orders(self, before: float, limit: int) -> int:
        assert self.asked[-1][0] == "purge", "states go after their signals"
        return self.orders.pop()

    async def purge_quarantine(self, before: float, limit: int) -> int:
        return self.quarantined.pop() if self.quarantined else 0

    async def count_purge(self, before: float, dead: bool) -> int:
        return 104

    async def count_quarantine(self, before: float) -> int:
        return 4

    async def record_action(self, action: str, detail: Mapping[str, Any], now: float) -> None:
        self.actions.append((action, detail, now))


async def run(store: FakeStore, request: PurgeRequest) -> list[Removed]:
    return [removed async for removed in purge_store(store, request, NOW)]  # type: ignore[arg-type]


async def test_each_progress_has_all_that_was_removed_so_far() -> None:
    store = FakeStore()
    assert await run(store, ALL) == [Removed(100, 200), Removed(101, 202), Removed(104, 205), Removed(104, 205, 4)]
    before = ALL.before
    assert store.orders == []
    assert store.asked == [
        ("drop_partitions", before, True),
        ("purge", before, 0, True, False),
        ("purge", before, 50, True, False),
    ]
    assert store.actions == [
        (
            "purge",
            {
                "before": "2027-01-14T08:00:00+00:00",
                "signals": 104,
                "quarantined": 4,
                "removed": True,
                "deliveries": 205,
            },
            NOW,
        )
    ]


async def test_quarantine_stays_unless_asked_for() -> None:
    assert (await run(FakeStore(), PurgeRequest(NOW)))[-1] == Removed(104, 205)
    assert await count_purgeable(FakeStore(), PurgeRequest(NOW)) == Removed(104)  # type: ignore[arg-type]
    assert await count_purgeable(FakeStore(), ALL) == Removed(104, 0, 4)  # type: ignore[arg-type]


async def test_partitions_that_are_locked_are_purged_row_by_row() -> None:
    assert (await run(FakeStore(locked=True), PurgeRequest(NOW)))[-1] == Removed(4, 5)
