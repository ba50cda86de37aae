"""The store's contract: order states are made anew with the same result, purged with their signals, and forgotten."""

from __future__ import annotations

import asyncio
import random
import tempfile
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import signal_types as types
from gateway.store.contract import Store
from tests.contract.store_case import NOW, Backend, accept, claim, finish
from tests.contract.test_store_orders import AT, follow, signal
from tests.support.factory import ACCOUNT

DAY = 86400.0
TABLES = {
    "order_states": "order_id, account, item",
    "order_tracking": "tracking, account, order_id, item",
    "account_activity": "account",
    "hourly_signals": "account, hour, type",
}
"""Tables made from signals, and the order in which they are compared."""
KINDS = [*types.STAGES, "Unheard"]


def read_tables(backend: Backend) -> dict[str, list[Any]]:
    """Return the tables, but for the order of keys in JSON."""
    found = {table: backend.execute(f"SELECT * FROM {table} ORDER BY {key}") for table, key in TABLES.items()}
    found["order_states"] = [(*row[:-1], sorted(row[-1])) for row in found["order_states"]]
    return found


async def rebuild(store: Store, limit: int = 2) -> None:
    after = ("", "")
    while page := await store.rebuild_orders(after, limit):
        after = page[-1]
    account: str | None = ""
    while account is not None:
        account = await store.rebuild_counts(account)


async def fill(store: Store, seed: int, number: int = 40) -> None:
    """Accept signals of some orders, in any order of their times, and some of them twice."""
    chance = random.Random(seed)
    for _ in range(number):
        details = {"tracking": chance.choice(["T1", "T2"]), "cause": chance.choice(["jam", "cut"])}
        order, minute = chance.choice("ABC"), chance.randrange(12)
        made = signal(chance.choice(KINDS), minute, order=order, item=chance.choice("ij"), **details)
        account = chance.choice(["shop", "other"])
        made = replace(made, account=account, identity=f"{account}-{made.identity}")
        for _ in range(chance.choice([1, 1, 2])):
            await accept(store, made)


@pytest.mark.gen_test
async def test_states_made_anew_are_the_same(backend: Backend) -> None:
    async with backend.open() as store:
        await fill(store, 1)
        await follow(store, limit=7)
        before = read_tables(backend)
        await rebuild(store)
        assert read_tables(backend) == before
        backend.execute("UPDATE order_states SET stage = 1, detail = '{\"times\": {}}'")
        backend.execute("DELETE FROM order_tracking")
        backend.execute("UPDATE hourly_signals SET number = 99")
        await rebuild(store)
        assert read_tables(backend) == before
        assert await follow(store) == 0


@given(st.integers(0, 2**32), st.integers(1, 50), st.integers(1, 5))
@settings(max_examples=10, deadline=None)
def test_any_arrival_followed_in_any_batches_is_as_made_anew(seed: int, limit: int, page: int) -> None:
    async def check(backend: Backend) -> None:
        async with backend.open() as store:
            await fill(store, seed, number=15)
            await store.follow_orders("a", NOW, NOW, limit)
            await fill(store, seed + 1, number=15)
            await follow(store, limit=limit)
            before = read_tables(backend)
            await rebuild(store, page)
            assert read_tables(backend) == before

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(Backend(f"sqlite:///{folder}/gateway.db")))


@pytest.mark.gen_test
async def test_making_states_anew_leaves_the_signals_that_are_not_added_yet_to_the_follower(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, signal(types.ITEM_PRODUCE, 1, item="i"))
        await follow(store)
        await accept(store, signal(types.ITEM_PRODUCED, 2, item="i"))
        await rebuild(store)
        found = await store.read_order(ACCOUNT, "1", 10)
        assert found
        assert found[0].signals == 1
        assert await follow(store) == 1
        found = await store.read_order(ACCOUNT, "1", 10)
        assert found
        assert found[0].signals == 2


@pytest.mark.gen_test
async def test_states_made_anew_beside_a_follower_miss_nothing(backend: Backend) -> None:
    async with backend.open() as store, backend.open() as other:
        await fill(store, 2)

        async def go_on() -> None:
            for number in range(10):
                await fill(other, number, number=4)
                await follow(other, "b", NOW + 10, limit=3)

        await follow(store)
        going_on = asyncio.create_task(go_on())
        while not going_on.done():
            await rebuild(store, 1)
        await going_on
        await follow(other, "b", NOW + 20)
        before = read_tables(backend)
        await rebuild(store)
        assert read_tables(backend) == before


@pytest.mark.gen_test
async def test_old_orders_go_once_their_signals_are_gone(backend: Backend) -> None:
    old = AT - timedelta(days=100)
    async with backend.open() as store:
        for order, when in (("1", old), ("2", old), ("3", AT)):
            made = signal(types.ITEM_SHIPPED, 1, order=order, item="i", tracking=f"T{order}")
            await accept(store, replace(made, received_at=when), routes=["erp"] if order == "2" else [])
        await follow(store)
        before = AT.timestamp() - 90 * DAY
        await store.purge(before, 0, 100, dead=False)
        assert [await store.purge_orders(before, 10) for _ in range(3)] == [1, 1, 0]
        left = [bool(await store.read_order(ACCOUNT, order, 10)) for order in "123"]
        assert left == [False, True, True]
        await finish(store, await claim(store, old.timestamp()), now=old.timestamp())
        await store.purge(before, 0, 100, dead=False)
        assert [await store.purge_orders(before, 10) for _ in range(2)] == [1, 0]
    assert backend.execute("SELECT DISTINCT order_id FROM order_tracking") == [("3",)]
    assert backend.execute("SELECT count(*) FROM hourly_signals") == [(1,)]


@pytest.mark.gen_test
async def test_states_are_forgotten_with_their_account(backend: Backend) -> None:
    async with backend.open() as store:
        await fill(store, 3)
        await follow(store)
        batches = 1
        while not (await store.forget("shop", 10, NOW)).done:
            batches += 1
        assert batches > 3
        assert await follow(store) == 0
    for table in TABLES:
        assert backend.execute(f"SELECT DISTINCT account FROM {table}") == [("other",)]
