"""The gateway's own upkeep of its store: partitions for new signals, and removal of old ones, once an hour."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from gateway.errors import StoreError
from gateway.operate.purge import purge_actions, purge_orders, purge_signals
from gateway.store.contract_upkeep import Upkeep

log = structlog.get_logger()

FIRST_ROUND_AFTER = 60.0
"""Seconds from the start to the first round: a computer that has just started may not know the date yet."""
ROUND_EVERY = 3600.0
"""Seconds from one round to the next. A partition is made a day ahead, so an hour late is no harm."""


async def keep_house(store: Upkeep, retention: Callable[[], float], now: Callable[[], float]) -> None:
    """Run one round after the other without end. An error ends a round, never the gateway."""
    await asyncio.sleep(FIRST_ROUND_AFTER)
    while True:
        try:
            await make_partitions(store, now(), retention())
            await clean_up(store, now() - retention())
        except StoreError as error:
            log.warning("store.purge_failed", reason=str(error))
        except Exception:  # upkeep must not end a gateway that serves
            log.exception("store.purge_failed")
        await asyncio.sleep(ROUND_EVERY)


async def make_partitions(store: Upkeep, now: float, retention: float) -> None:
    """Make partitions for the coming days. If it fails, new rows go to the default partition."""
    try:
        if made := await store.make_partitions(now, retention):
            log.info("store.partitions_made", partitions=made)
    except StoreError as error:
        log.warning("store.partitions_failed", reason=str(error))


async def clean_up(store: Upkeep, before: float) -> None:
    """Remove old partitions, then old signals of the default partition."""
    await drop_partitions(store, before)
    signals = deliveries = 0
    async for batch in purge_signals(store, before, unpartitioned=True):
        signals += batch.signals
        deliveries += batch.deliveries
    if signals:
        log.info("store.purged", signals=signals, deliveries=deliveries)
    async for _ in purge_actions(store, before):
        pass
    await purge_orders(store, before)


async def drop_partitions(store: Upkeep, before: float) -> None:
    """Drop old partitions and log each. One that can't be dropped now is tried again in the next round."""
    try:
        async for dropped in store.drop_partitions(before, dead=False):
            days = {"since": day_of(dropped.since), "until": day_of(dropped.until)}
            if dropped.kept is None:
                log.warning(
                    "store.partition_kept", **days, reason="it has too many pending, replayed or dead deliveries"
                )
            else:
                counts = {"signals": dropped.signals, "deliveries": dropped.deliveries, "kept": dropped.kept}
                log.info("store.partition_dropped", **days, **counts)
    except StoreError as error:
        log.warning("store.partitions_failed", reason=str(error))


def day_of(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
