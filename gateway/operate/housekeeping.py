"""Removes what is done with and older than the retention: parts of the store, where it has them, and what is in none in
small batches beside the live traffic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import structlog

from gateway.errors import StoreError
from gateway.store.contract import Store
from gateway.store.values import Purged

log = structlog.get_logger()

BATCH = 200
"""Signals that are looked at in one transaction: some milliseconds for which others wait."""
REST = 4.0
"""How many times as long as a batch took is waited after it."""
FIRST = 60.0
"""Seconds after a start until the first round: a computer that has just started may not know the date yet."""
EVERY = 3600.0
"""Seconds between two rounds."""


async def purge_signals(
    store: Store, before: float, dead: bool = False, unpartitioned: bool = False
) -> AsyncIterator[Purged]:
    """Remove signals received before that time, with all that belongs to them; what each batch has removed.

    One with a delivery that is pending, or that ended since (a replay), stays, and so does one with a dead letter,
    unless `dead`. With `unpartitioned`, those that go with a part of the store are left.
    """
    after: int | None = 0
    while after is not None:
        began = asyncio.get_running_loop().time()
        batch = await store.purge(before, after, BATCH, dead, unpartitioned)
        yield batch
        after = batch.reached
        await asyncio.sleep(REST * (asyncio.get_running_loop().time() - began) if after is not None else 0)


async def purge_quarantine(store: Store, before: float) -> AsyncIterator[int]:
    """Remove requests that were quarantined before that time; how many in each batch."""
    while removed := await store.purge_quarantine(before, BATCH):
        yield removed
        await asyncio.sleep(0)


async def make_room(store: Store, now: float, retention: float) -> None:
    """See that there are parts of the store for what comes. It may fail: without, all goes on as well."""
    try:
        if made := await store.make_partitions(now, retention):
            log.info("store.partitions_made", partitions=made)
    except StoreError as error:
        log.warning("store.partitions_failed", reason=str(error))


async def keep_house(store: Store, retention: Callable[[], float], now: Callable[[], float]) -> None:
    """Round after round, without end."""
    await asyncio.sleep(FIRST)
    while True:
        try:
            await make_room(store, now(), retention())
            await clean_up(store, now() - retention())
        except StoreError as error:
            log.warning("store.purge_failed", reason=str(error))
        except Exception:  # what only tidies must not end what serves
            log.exception("store.purge_failed")
        await asyncio.sleep(EVERY)


async def drop_partitions(store: Store, before: float) -> None:
    """Remove parts of the store, and say so. One that can't be dropped now is there the next time."""
    try:
        async for part in store.drop_partitions(before, dead=False):
            days = {"since": day_of(part.since), "until": day_of(part.until)}
            if part.kept is None:
                log.warning("store.partition_kept", **days, reason="too much in it is pending, replayed or dead")
            else:
                log.info(
                    "store.partition_dropped", **days, signals=part.signals, deliveries=part.deliveries, kept=part.kept
                )
    except StoreError as error:
        log.warning("store.partitions_failed", reason=str(error))


def day_of(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


async def clean_up(store: Store, before: float) -> None:
    """One round."""
    await drop_partitions(store, before)
    signals = deliveries = 0
    async for batch in purge_signals(store, before, unpartitioned=True):
        signals += batch.signals
        deliveries += batch.deliveries
    if signals:
        log.info("store.purged", signals=signals, deliveries=deliveries)
