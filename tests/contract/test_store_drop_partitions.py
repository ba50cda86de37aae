"""PostgreSQL: an old partition is dropped. Signals that must stay do, and others wait only for a moment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import StoreError
from gateway.model import Dead, RetryAt
from gateway.store.contract import Store
from gateway.store.postgres import partitions
from gateway.store.values import DroppedPartition, Filter
from tests.contract.store_case import DELIVERED, NOW, Backend, accept, claim, finish, numbered, replay_all, states
from tests.support.factory import ACCOUNT, AT
from tests.support.ledger import read_ledger
from tests.support.postgres import Server

pytestmark = pytest.mark.gen_test

DAY = 86400.0
MIDNIGHT = NOW - NOW % DAY
OLD = NOW - 100 * DAY
BEFORE = NOW - 90 * DAY


@pytest.fixture
def shared(postgres_url: str) -> Backend:
    return Backend(postgres_url)


@asynccontextmanager
async def opened(shared: Backend) -> AsyncIterator[Store]:
    """Open a store with partitions of a day, of 101 to 97 days ago."""
    async with shared.open() as store:
        for day in (101, 99):
            await store.make_partitions(NOW - day * DAY, 8 * DAY)
        yield store


async def take(store: Store, number: int, days: float = 100.0) -> int:
    """Accept a signal received so many days ago, for two routes, and return its id."""
    signal = replace(numbered(number, order=str(number)), received_at=AT - timedelta(days=days))
    return (await accept(store, signal, ("erp", "export"))).signal_id


async def end_all(store: Store, at: float = OLD) -> None:
    for route in ("erp", "export"):
        await finish(store, await claim(store, limit=1000, routes=(route,)), now=at)


async def drop_all(store: Store, before: float = BEFORE, dead: bool = False) -> list[DroppedPartition]:
    return [partition async for partition in store.drop_partitions(before, dead)]


async def check(store: Store) -> Mapping[tuple[str, str], Mapping[str, int]]:
    """Return the ledger, after checking that it is balanced."""
    assert [wrong async for page in store.check_custody() for wrong in page.violations] == []
    ledger = await read_ledger(store)
    for counts in ledger.values():
        assert counts["accepted"] == sum(count for name, count in counts.items() if name != "accepted")
    return ledger


def tables(server: Server, backend: Backend) -> set[str]:
    rows = server.execute_at(
        backend.url,
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
    )
    return {str(name) for (name,) in rows}


def deleted(server: Server, backend: Backend) -> int:
    """Return the rows deleted in tables that still exist, except rows that moved with their state."""
    server.execute_at(backend.url, "SELECT pg_stat_force_next_flush()")
    [(count,)] = server.execute_at(
        backend.url,
        "SELECT sum(n_tup_del)::bigint FROM pg_stat_user_tables "
        "WHERE schemaname = current_schema() AND relname <> 'deliveries_pending'",
    )
    return int(str(count))


async def test_a_partition_is_dropped_and_no_row_is_deleted(shared: Backend, postgres: Server) -> None:
    async with opened(shared) as store:
        for number in range(50):
            await take(store, number)
        await end_all(store)
        young = await take(store, 99, days=0)
        assert (await check(store))[ACCOUNT, "erp"]["accepted"] == 51
        before = tables(postgres, shared)
        assert {"signals_20260812", "deliveries_20260812", "attempts_20260812"} <= before
        [first, *empty] = [partition for partition in await drop_all(store) if partition.until > MIDNIGHT - 100 * DAY]
        assert first == DroppedPartition(MIDNIGHT - 100 * DAY, MIDNIGHT - 99 * DAY, 50, 100, 0)
        assert {(partition.signals, partition.kept) for partition in empty} == {(0, 0)}
        gone = before - tables(postgres, shared)
        assert {"signals_20260812", "deliveries_20260812", "attempts_20260812"} <= gone
        assert len(gone) == 15
        assert deleted(postgres, shared) == 0
        assert [row.signal.id for row in await store.list_signals(Filter(), 100)] == [young]
        assert (await check(store))[ACCOUNT, "erp"]["accepted"] == 1


async def test_kept_signals_stay_and_are_delivered_later(shared: Backend, postgres: Server) -> None:
    async with opened(shared) as store:
        done, waiting, retried, dead, replayed, slow = [await take(store, number) for number in range(6)]
        erp = {delivery.signal.id: delivery for delivery in await claim(store, OLD)}
        await finish(store, [erp[retried]], RetryAt(NOW, "busy"), OLD)
        await finish(store, [erp[dead]], Dead("gone"), OLD)
        await finish(store, [erp[done], erp[replayed]], DELIVERED, OLD)
        await finish(store, [erp[slow]], DELIVERED, BEFORE)
        await finish(store, await claim(store, OLD, routes=("export",)), now=OLD)
        await replay_all(store, Filter(ids=[replayed], route="export"), OLD)
        await finish(store, await claim(store, OLD, routes=("export",)), now=NOW)
        ledger = await check(store)
        assert await store.count_purge(BEFORE, dead=False) == 1
        [partition] = [partition for partition in await drop_all(store) if partition.signals or partition.kept]
        assert (partition.signals, partition.deliveries, partition.kept) == (1, 2, 5)
        assert "signals_20260812" not in tables(postgres, shared)
        assert [row.signal.id for row in await store.list_signals(Filter(), 100)] == [
            slow,
            replayed,
            dead,
            retried,
            waiting,
        ]
        assert {route: len(tries) for route, tries in (await store.read_attempts(retried)).items()} == {"erp": 1}
        after = await check(store)
        assert after[ACCOUNT, "erp"]["accepted"] == ledger[ACCOUNT, "erp"]["accepted"] - 1
        # Pending ones are delivered, dead ones replayed, a retry is known; and once done with, they go row by row.
        assert not await take(store, 1, days=0)
        await replay_all(store, Filter(state="dead"), NOW)
        assert await finish(store, await claim(store, NOW + DAY), now=NOW) == 3
        assert set((await states(store)).values()) == {"delivered"}
        assert (await store.purge(NOW - DAY, 0, 100, dead=False, unpartitioned=True)).signals == 1  # slow
        assert (await store.purge(NOW + 1, 0, 100, dead=False, unpartitioned=True)).signals == 4
        assert await check(store) == {}


async def test_dead_letters_are_dropped_with_their_partition_on_demand(shared: Backend) -> None:
    async with opened(shared) as store:
        for number in range(3):
            await take(store, number)
        await finish(store, await claim(store, OLD), Dead("gone"), OLD)
        await finish(store, await claim(store, OLD, routes=("export",)), now=OLD)
        assert sum(partition.signals for partition in await drop_all(store, dead=True)) == 3
        assert await check(store) == {}


async def test_a_partition_with_too_many_signals_to_keep_is_left(
    shared: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(shared) as store:
        monkeypatch.setattr(partitions, "MAX_KEPT_SIGNALS", 2)
        for number in range(3):
            await take(store, number)
        await take(store, 4, days=99)
        [left, other] = [partition for partition in await drop_all(store) if partition.kept != 0]
        assert (left.since, left.signals, left.kept) == (MIDNIGHT - 100 * DAY, 0, None)
        assert (other.since, other.signals, other.kept) == (MIDNIGHT - 99 * DAY, 0, 1)
        await end_all(store)
        assert [partition.signals for partition in await drop_all(store)] == [3]


async def test_a_partition_stays_a_day_longer_and_can_be_purged(shared: Backend) -> None:
    async with opened(shared) as store:
        await store.make_partitions(NOW - 91 * DAY, 8 * DAY)
        await take(store, 1, days=91)
        await end_all(store, NOW - 91 * DAY)
        assert {partition.signals for partition in await drop_all(store)} == {0}
        assert (await store.purge(BEFORE, 0, 100, dead=False, unpartitioned=True)).signals == 0
        assert (await store.purge(BEFORE, 0, 100, dead=False)).signals == 1


async def test_a_long_reader_is_not_interrupted_and_delays_nobody(shared: Backend, postgres: Server) -> None:
    async with opened(shared) as store:
        await take(store, 1)
        await end_all(store)
        before = tables(postgres, shared)
        with postgres.connect(shared.url) as reader, reader.transaction():
            reader.execute("SELECT count(*) FROM signals")
            with pytest.raises(StoreError, match="try again later"):
                await drop_all(store)
            assert await take(store, 2, days=0)
            reader.execute("SELECT count(*) FROM deliveries")
        assert tables(postgres, shared) == before
        assert sum(partition.signals for partition in await drop_all(store)) == 1


async def test_of_gateways_that_clean_up_at_once_one_drops_a_partition(shared: Backend) -> None:
    async with opened(shared) as store:
        for number in range(20):
            await take(store, number, days=100 - number % 4)
        await end_all(store)
        async with AsyncExitStack() as stack:
            stores = [store, *[await stack.enter_async_context(shared.open()) for _ in range(3)]]
            found = await asyncio.gather(*map(drop_all, stores))
            assert sum(partition.signals for partitions in found for partition in partitions) == 20
            assert await check(store) == {}


@pytest.mark.gen_test
async def test_the_ledger_is_balanced_at_any_moment_while_partitions_are_dropped(shared: Backend) -> None:
    """Gateways accept into old partitions, deliver, retry and replay while partitions are dropped and one audits."""
    busy = True

    async def work(store: Store, gateway: int) -> None:
        rng = random.Random(gateway)
        for number in range(gateway * 1000, gateway * 1000 + 30):
            await take(store, number, days=rng.choice((101, 100, 99, 98, 97, 0)))
            for route in ("erp", "export"):
                decision = rng.choice((DELIVERED, DELIVERED, DELIVERED, Dead("gone"), RetryAt(OLD, "busy")))
                await finish(store, await claim(store, NOW, limit=3, routes=(route,)), decision, OLD - 10 * DAY)
            if number % 10 == 0:
                await replay_all(store, Filter(route="erp", state="dead"), OLD)

    async def look(store: Store) -> None:
        while busy:
            await check(store)

    async def clean(store: Store) -> list[DroppedPartition]:
        """Drop a partition each time there are ten more signals."""
        partitions: list[DroppedPartition] = []
        while busy:
            with suppress(StoreError):  # it gave up, as others were at work
                if len(await store.list_signals(Filter(), 100)) >= 10 * len(partitions) + 10:
                    partitions += await drop_all(store, NOW - (99 - len(partitions)) * DAY)
        return partitions

    async with AsyncExitStack() as stack:
        one, two, three, four = [await stack.enter_async_context(opened(shared)) for _ in range(4)]
        looking, cleaning = asyncio.ensure_future(look(three)), asyncio.ensure_future(clean(four))
        try:
            await asyncio.gather(work(one, 1), work(two, 2))
        finally:
            busy = False
            _, partitions = await asyncio.gather(looking, cleaning)
        assert len(partitions) > 2
        assert sum(partition.signals for partition in partitions) > 0
        assert len(await one.list_signals(Filter(), 100)) < 60
        await check(one)
