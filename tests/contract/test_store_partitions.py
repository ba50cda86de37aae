"""PostgreSQL keeps signals and ended deliveries in partitions by the time when the signal was received."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.errors import StoreError
from gateway.model import Dead, RetryAt
from gateway.store.contract import Store
from gateway.store.postgres import accept as accepting
from gateway.store.postgres import lanes, lease, record
from gateway.store.reads import backlog
from gateway.store.rows import dumps, micros, signal_row
from gateway.store.values import Filter
from tests.contract.store_case import NOW, Backend, accept, claim, finish, ids, numbered, replay_all
from tests.support.factory import ACCOUNT, AT
from tests.support.ledger import read_ledger
from tests.support.postgres import Server

pytestmark = pytest.mark.gen_test

DAY = 86400.0
RETENTION = 8 * DAY
"""Return a store's database, with partitions of a day."""


@pytest.fixture
def shared(postgres_url: str) -> Backend:
    return Backend(postgres_url)


async def make_week(store: Store) -> None:
    """Make partitions from a week ago to the day after tomorrow."""
    for day in range(8):
        await store.make_partitions(NOW - (7 - day) * DAY, RETENTION)


async def take(store: Store, number: int, days: float = 0.0, **fields: Any) -> int:
    """Accept a signal received so many days ago, and return its id, 0 for a duplicate."""
    signal = replace(numbered(number, order=str(number)), received_at=AT - timedelta(days=days))
    return (await accept(store, signal, ("erp", "export"), **fields)).signal_id


def where(server: Server, backend: Backend, table: str) -> Counter[str]:
    """Return the number of rows in each partition; its name is without the table's."""
    rows = server.execute_at(backend.url, f"SELECT tableoid::regclass::text FROM {table}")
    return Counter(str(name).partition("_")[2] for (name,) in rows)


async def test_ended_rows_are_partitioned_by_the_day_of_receipt(shared: Backend, postgres: Server) -> None:
    async with shared.open() as store:
        await make_week(store)
        old, new, _ = [await take(store, number, days) for number, days in enumerate((5, 0, 400))]
        assert where(postgres, shared, "signals") == {"20261115": 1, "20261120": 1, "default": 1}
        assert where(postgres, shared, "deliveries") == {"pending": 6}
        await finish(store, await claim(store), RetryAt(NOW, "busy"))
        assert where(postgres, shared, "deliveries") == {"pending": 6}
        again = {delivery.signal.id: delivery for delivery in await claim(store)}
        await finish(store, [again[new]], Dead("gone"))
        await finish(store, [again[old]])
        assert where(postgres, shared, "deliveries") == {"pending": 4, "20261115": 1, "20261120": 1}
        assert where(postgres, shared, "attempts") == {"20261115": 1, "20261120": 2, "default": 1}
        assert await replay_all(store, Filter(ids=[old])) == 1
        assert where(postgres, shared, "deliveries") == {"pending": 5, "20261120": 1}
        assert [page.violations async for page in store.check_custody()] == [[]]


async def make_partitions(store: Store) -> int:
    """Make partitions as a gateway does: again if the tables were busy."""
    while True:
        with contextlib.suppress(StoreError):
            return await store.make_partitions(NOW, RETENTION)


async def test_partitions_are_made_once_by_several_gateways(shared: Backend) -> None:
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(shared.open()) for _ in range(4)]
        made = await asyncio.gather(*map(make_partitions, stores))
        assert sum(made) == 3
        assert await stores[0].make_partitions(NOW + DAY, 80 * DAY) == 1
        assert await stores[0].make_partitions(NOW + 10 * DAY, 80 * DAY) == 0


async def test_a_day_that_was_begun_without_a_partition_stays_without(shared: Backend, postgres: Server) -> None:
    async with shared.open() as store:
        await take(store, 1)
        assert await store.make_partitions(NOW, RETENTION) == 2
        await take(store, 2)
        await take(store, 3, days=-1)
        assert where(postgres, shared, "signals") == {"default": 2, "20261121": 1}
        assert await store.make_partitions(NOW, RETENTION) == 0


async def test_a_long_reader_does_not_delay_others_while_a_partition_is_made(shared: Backend, postgres: Server) -> None:
    async with shared.open() as store:
        with postgres.connect(shared.url) as reader, reader.transaction():
            reader.execute("SELECT count(*) FROM signals")
            with pytest.raises(StoreError, match="try again later"):
                await store.make_partitions(NOW, RETENTION)
            assert await take(store, 1, days=1)
        assert await store.make_partitions(NOW, RETENTION) == 3


async def test_a_retry_is_recognised_in_any_partition(shared: Backend) -> None:
    async with shared.open() as store:
        await make_week(store)
        for days in (400, 7, 3, 0):
            assert await take(store, int(days), days)
        for days in (400, 7, 3, 0):
            assert not await take(store, int(days), -1)
        assert len(await store.list_signals(Filter(), 100)) == 4


async def test_equal_signals_at_once_are_one_across_midnight_too(shared: Backend) -> None:
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(shared.open()) for _ in range(5)]
        await make_week(stores[0])
        for number in range(20):
            taken = await asyncio.gather(*(take(store, number, days) for days, store in enumerate(stores)))
            assert sum(map(bool, taken)) == 1
        # In one transaction too.
        taken = await asyncio.gather(*(take(stores[0], 99, days / 2) for days in range(10)))
        assert [bool(number) for number in taken] == [True] + [False] * 9


# -- what the hot statements touch

ROW = [*signal_row(numbered(5, order="x"), 1, ()), False, False, [("erp", "x", 0)]]
RESULT = [ACCOUNT, 3, "erp", "lease", "delivered", None, 1, micros(NOW), ""]
ORDERS = "order_id_account_item_occurred_at_stage_idx"
PENDING = {"deliveries_pending"}
STATEMENTS: dict[str, tuple[Any, tuple[Any, ...], set[str]]] = {
    "lease": (
        lease.LEASE,
        (dumps([(ACCOUNT, "export", 1, None)]), micros(NOW), micros(NOW), "lease"),
        PENDING,
    ),
    "renew": (lease.RENEW_LEASES, (micros(NOW), dumps([(ACCOUNT, 3, "erp", "lease")])), PENDING),
    "next due": (lease.NEXT_DUE, (dumps([(ACCOUNT, "erp")]),), PENDING),
    "result": (record.RECORD, (dumps([RESULT]), micros(NOW)), PENDING),
    "giving way": (accepting.MAKE_WAY, (dumps([(ACCOUNT, "erp", "5")]), micros(NOW)), PENDING),
    "next head": (lanes.PROMOTE_HEADS, (dumps([(ACCOUNT, "erp", "x")]), micros(NOW)), PENDING),
    "replays": (lanes.DEMOTE_REPLAYS, (dumps([(ACCOUNT, "erp", "5")]),), PENDING),
    "backlog": (backlog.POSTGRES_BACKLOG, (), PENDING),
}
TOUCHED = re.compile(r"Scan (?:using \S+ )?on ((?:signals|deliveries)_(?:\d+|default|pending))\b")


@pytest.mark.parametrize("what", STATEMENTS)
async def test_hot_statements_read_only_pending_deliveries(shared: Backend, postgres: Server, what: str) -> None:
    """Of signals only their own partition is read, in the executed plan."""
    statement, values, expected = STATEMENTS[what]
    async with shared.open() as store:
        await make_week(store)
        for number in range(40):
            await take(store, number, days=number % 8)
        await finish(store, [d for d in await claim(store) if d.signal.received_at < AT])
        plan = shared.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement}", *values)
    touched = {found[1] for (line,) in plan if "never executed" not in line and (found := TOUCHED.search(line))}
    assert touched == expected


@pytest.mark.parametrize("what", ["lease", "renew", "result", "giving way", "next head"])
async def test_a_plan_made_for_an_empty_table_seeks_by_key(shared: Backend, postgres: Server, what: str) -> None:
    """A table that was counted while it was empty is filled before it is counted again."""
    statement, values, _ = STATEMENTS[what]
    async with shared.open() as store:
        await asyncio.gather(*(take(store, number) for number in range(200)))
        for route in ("erp", "export"):
            await finish(store, await claim(store, limit=1000, routes=(route,)))
        postgres.execute_at(shared.url, "ANALYZE deliveries_pending; SELECT 1")
        plan = shared.execute(f"EXPLAIN (COSTS OFF) {statement}", *values)
    lines = [line for (line,) in plan]
    looks = [after for line, after in itertools.pairwise(lines) if "deliveries_pending_pkey" in line]
    assert looks
    assert [line for line in looks if "(signal_id = ANY" not in line] == []
    assert [line for line in lines if "Seq Scan" in line] == []


@pytest.mark.parametrize(
    ("statement", "values", "indexes"),
    [
        (accepting.ACCEPT, (dumps([ROW]),), {"account_occurred_at_identity_key": 10, ORDERS: 30}),
        (lease.READ_LEASED, (dumps([(ACCOUNT, 1, 1, micros(NOW))]),), {ORDERS: 30, "pkey": 10}),
    ],
    ids=["accept", "read"],
)
async def test_lookups_in_all_partitions_use_the_index_meant_for_them(
    shared: Backend, statement: str, values: Any, indexes: dict[str, int]
) -> None:
    """Empty partitions count too: a plan made then is used while they fill."""
    async with shared.open() as store:
        await make_week(store)
        await take(store, 5)
        lines = [line for (line,) in shared.execute(f"EXPLAIN {statement}", *values)]
    used = Counter(found[1] for line in lines if (found := re.search(r"signals_2026\d{4}_(\w+)", line)))
    assert used == indexes


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (accepting.ACCEPT, (dumps([ROW]),)),
        (record.RECORD, (dumps([RESULT]), micros(NOW))),
        (accepting.MAKE_WAY, (dumps([(ACCOUNT, "erp", "5")]), micros(NOW))),
    ],
    ids=["accept", "record", "give way"],
)
async def test_no_statement_scans_the_backlog_in_place_of_seeks(
    shared: Backend, postgres: Server, statement: str, values: Any
) -> None:
    async with shared.open() as store:
        await asyncio.gather(*(accept(store, numbered(number, order=str(number))) for number in range(50)))
        postgres.execute_at(shared.url, "ANALYZE deliveries_pending")
        lines = [line for (line,) in shared.execute(f"EXPLAIN (VERBOSE) {statement}", *values)]
    assert [line for line in lines if "SubPlan" in line]
    assert [line for line in lines if "hashed" in line] == []


async def test_ids_are_not_used_up_by_making_partitions(shared: Backend) -> None:
    async with shared.open() as store:
        await make_week(store)
        assert await take(store, 1) == 1
        assert ids(await claim(store)) == [1]
        assert (await read_ledger(store))[ACCOUNT, "erp"]["accepted"] == 1
