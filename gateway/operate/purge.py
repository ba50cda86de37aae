"""Removes old signals that have ended, on request and for housekeeping."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.errors import StoreError
from gateway.operate.traffic import yield_to_traffic
from gateway.store.contract import Store
from gateway.store.contract_upkeep import Upkeep
from gateway.store.values import Purged

SIGNALS_PER_BATCH = 200
"""Signals that one transaction looks at. It takes some milliseconds, for which other writes wait."""
REST = 4.0
"""Rest after each batch, as a multiple of its duration. Retention is never urgent, so it takes a fifth of the time."""


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """A request to remove signals received before a time; with dead letters and quarantined requests if asked."""

    before: float
    dead: bool = False
    quarantine: bool = False


@dataclass(frozen=True, slots=True)
class Removed:
    """Numbers of rows that a purge has removed so far, or would remove."""

    signals: int = 0
    deliveries: int = 0
    quarantined: int = 0

    def add(self, signals: int = 0, deliveries: int = 0, quarantined: int = 0) -> Removed:
        """Return the sums after one more step."""
        return Removed(self.signals + signals, self.deliveries + deliveries, self.quarantined + quarantined)


async def count_purgeable(store: Upkeep, request: PurgeRequest) -> Removed:
    """Count the signals and requests that a purge would remove; deliveries are not counted."""
    quarantined = await store.count_quarantine(request.before) if request.quarantine else 0
    return Removed(await store.count_purge(request.before, request.dead), 0, quarantined)


async def purge_store(store: Store, request: PurgeRequest, now: float) -> AsyncIterator[Removed]:
    """Remove old rows and record the action; yield the numbers removed so far.

    Whole partitions go first, if the store has them, then single rows in small batches.
    """
    removed = Removed()
    async for step in purge_steps(store, request):
        removed = removed.add(step.signals, step.deliveries, step.quarantined)
        yield removed
    await purge_orders(store, request.before)
    before = datetime.fromtimestamp(request.before, UTC).isoformat()
    detail = {"before": before, "signals": removed.signals, "quarantined": removed.quarantined}
    await store.record_action("purge", {**detail, "removed": True, "deliveries": removed.deliveries}, now)


async def purge_steps(store: Upkeep, request: PurgeRequest) -> AsyncIterator[Removed]:
    """Remove old rows; yield the numbers that each step removed."""
    # A partition can't be dropped while others hold locks on it: then its rows go in batches.
    with contextlib.suppress(StoreError):
        async for partition in store.drop_partitions(request.before, request.dead):
            yield Removed(partition.signals, partition.deliveries)
    async for batch in purge_signals(store, request.before, request.dead):
        yield Removed(batch.signals, batch.deliveries)
    if request.quarantine:
        async for number in purge_quarantine(store, request.before):
            yield Removed(quarantined=number)


def purge_signals(
    store: Upkeep, before: float, dead: bool = False, unpartitioned: bool = False
) -> AsyncIterator[Purged]:
    """Remove signals received before a time, with all that belongs to them; yield the result of each batch.

    A signal stays if a delivery is pending, or ended after that time (a replay), or is a dead letter and `dead` is
    False. With `unpartitioned`, only signals in the default partition are looked at.
    """
    return yield_to_traffic(purge_batches(store, before, dead, unpartitioned), rest=REST)


async def purge_batches(store: Upkeep, before: float, dead: bool, unpartitioned: bool) -> AsyncIterator[Purged]:
    """Remove signals batch by batch, without a rest."""
    after: int | None = 0
    while after is not None:
        batch = await store.purge(before, after, SIGNALS_PER_BATCH, dead, unpartitioned)
        yield batch
        after = batch.reached


async def purge_orders(store: Upkeep, before: float) -> None:
    """Remove order states of which no signal is left since a time, and the counts of hours before it."""

    async def batches() -> AsyncIterator[int]:
        while removed := await store.purge_orders(before, SIGNALS_PER_BATCH):
            yield removed

    async for _ in yield_to_traffic(batches(), rest=REST):
        pass


def purge_actions(store: Upkeep, before: float) -> AsyncIterator[int]:
    """Remove actions recorded before a time, and jobs that have ended; yield the number removed in each batch."""
    return yield_to_traffic(action_batches(store, before), rest=REST)


async def action_batches(store: Upkeep, before: float) -> AsyncIterator[int]:
    """Remove actions batch by batch, without a rest."""
    while removed := await store.purge_actions(before, SIGNALS_PER_BATCH):
        yield removed


async def purge_quarantine(store: Upkeep, before: float) -> AsyncIterator[int]:
    """Remove requests quarantined before a time; yield the number removed in each batch."""
    while removed := await store.purge_quarantine(before, SIGNALS_PER_BATCH):
        yield removed
