"""The store's contract: order states follow the signals, each added once, by one gateway at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway import signal_types as types
from gateway.model import Signal
from gateway.order_state import Key, OrderState, State
from gateway.store.contract import Store
from gateway.store.orders import Horizon
from gateway.store.values import Activity, Followed, Settled
from tests.contract.store_case import NOW, Backend, accept
from tests.support.factory import ACCOUNT, make_signal

pytestmark = pytest.mark.gen_test

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def signal(type: str, minute: int, order: str = "1", **fields: Any) -> Signal:
    when = AT.replace(minute=minute)
    made = make_signal(type, order=order, order_reference=f"PO-{order}", datetime=when.isoformat(), id=0, **fields)
    return replace(made, received_at=when.replace(second=30))


def micros(minute: int, second: int = 0) -> int:
    return round(AT.replace(minute=minute, second=second).timestamp() * 1e6)


async def follow(store: Store, owner: str = "a", now: float = NOW, limit: int = 100) -> int:
    """Add all signals, and return their number. A try that others have overtaken is repeated."""
    added = 0
    while True:
        answer = await store.follow_orders(owner, now, now + 2, limit)
        added += answer.added
        if not answer.more:
            return added


async def test_signals_are_added_to_their_orders(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, signal(types.ORDER_VALIDATED, 0))
        await accept(store, signal(types.ITEM_PRODUCE, 1, item="i"))
        assert await follow(store) == 2
        await accept(store, signal(types.ITEM_SHIPPED, 3, item="i", tracking="T1", shipping_option="dhl"))
        await accept(store, signal(types.ITEM_ERROR, 2, item="i", cause="Paper jam"))
        await accept(store, signal(types.ITEM_ERROR, 4, item="j", cause="Paper jam", delay=24))
        assert await follow(store) == 3
        assert await follow(store) == 0
        found = await store.read_order(ACCOUNT, "1", 100)
    assert found
    order, items = found
    first, second = items
    assert (order.reference, order.stage, order.since, order.problems) == ("PO-1", 0, micros(3), 1)
    assert (order.signals, order.late, order.items) == (5, 1, {types.STAGES[types.ITEM_SHIPPED]: 1, 0: 1})
    assert (order.first_seen, order.last_seen) == (micros(0, 30), micros(4, 30))
    assert (first.item, first.stage, first.problems) == ("i", types.STAGES[types.ITEM_SHIPPED], 0)
    assert first.tracking["T1"].option == (micros(3), "dhl")
    assert first.times == {types.ITEM_PRODUCE: micros(1), types.ITEM_SHIPPED: micros(3), types.ITEM_ERROR: micros(2)}
    assert (second.problems, second.problem and second.problem.delay) == (1, "24")


async def test_states_are_the_same_after_a_restart_in_batches_of_any_size(backend: Backend) -> None:
    sent = [
        signal(types.ITEM_SHIPPED, 5, item="i", tracking="T1", shipping_option="dhl"),
        signal(types.ORDER_VALIDATED, 0),
        signal(types.ITEM_PRODUCE, 1, item="i"),
        signal(types.ORDER_CANCELED, 4),
        signal(types.ITEM_PRODUCE, 2, item="j"),
        signal(types.ITEM_ERROR, 3, item="j"),
    ]
    async with backend.open() as store:
        for number, one in enumerate(sent):
            await accept(store, one)
            await accept(store, replace(one, account="other", identity=f"other-{number}"))
    for limit in (1, 2, 3):
        async with backend.open() as store:
            await store.follow_orders("a", NOW, NOW, limit)
    async with backend.open() as store:
        await follow(store, limit=4)
        first, other = [await store.read_order(account, "1", 100) for account in (ACCOUNT, "other")]
    assert first
    assert other
    assert first[0] == replace(other[0], account=ACCOUNT)
    assert list(first[1]) == [replace(item, account=ACCOUNT) for item in other[1]]
    assert [item.stage for item in first[1]] == [types.STAGES[types.ITEM_SHIPPED], types.STAGES[types.ORDER_CANCELED]]


async def test_a_duplicate_a_signal_without_order_and_an_alert_change_no_state(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, signal(types.ITEM_PRODUCE, 1, item="i"))
        await accept(store, signal(types.ITEM_PRODUCE, 1, item="i"))
        await accept(store, signal("Unheard", 2, order=""))
        await accept(store, replace(signal(types.ITEM_ERROR, 3, item="i"), type="GatewayAlert"))
        await follow(store)
        found = await store.read_order(ACCOUNT, "1", 100)
        assert found
        assert (found[0].signals, found[0].problems) == (1, 0)
        assert await store.read_order(ACCOUNT, "", 100) is None
        assert await store.read_activity() == {ACCOUNT: Activity(micros(1, 30) / 1e6, micros(2, 30) / 1e6, 2)}


async def test_signals_are_counted_by_hour_account_and_type(backend: Backend) -> None:
    async with backend.open() as store:
        for minute in (1, 2, 3):
            await accept(store, signal(types.ITEM_PRODUCE, minute))
        await follow(store)
        await accept(store, signal(types.ITEM_PRODUCE, 59))
        await accept(store, signal(types.ITEM_SHIPPED, 59))
        await follow(store)
    rows = backend.execute("SELECT account, hour, type, answer, number FROM hourly_signals ORDER BY type")
    assert rows == [
        (ACCOUNT, micros(0), types.ITEM_PRODUCE, "accepted", 4),
        (ACCOUNT, micros(0), types.ITEM_SHIPPED, "accepted", 1),
    ]


async def test_another_gateway_follows_once_the_owner_is_gone(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, signal(types.ITEM_PRODUCE, 1, item="i"))
        assert await follow(store, "a") == 1
        await accept(store, signal(types.ITEM_PRODUCED, 2, item="i"))
        assert await store.follow_orders("b", NOW + 1, NOW + 3, 10) == Followed(mine=False)
        answer = await store.follow_orders("b", NOW + 2, NOW + 4, 10)
        assert answer == Followed(1, cost=answer.cost)
        assert await store.follow_orders("a", NOW + 2, NOW + 4, 10) == Followed(mine=False)


async def test_gateways_that_follow_at_once_add_each_signal_once(backend: Backend) -> None:
    async with backend.open() as first, backend.open() as second, backend.open() as third:
        stores = [first, second, third]
        for number in range(60):
            await accept(stores[number % 3], signal(types.ITEM_PRODUCE, number, order=str(number % 7), item="i"))
        # The lease has ended at once, so that nothing but the version keeps them apart.
        tries = [store.follow_orders(str(n), NOW, NOW, 5) for n, store in enumerate(stores) for _ in range(8)]
        await asyncio.gather(*tries)
        await follow(first, "0", NOW + 10)
        activity = await first.read_activity()
        found = [await first.read_order(ACCOUNT, str(number), 10) for number in range(7)]
    assert activity[ACCOUNT].signals == 60
    assert sum(order[0].signals for order in found if order) == 60


async def test_what_waits_at_a_stage_is_listed_in_pages(backend: Backend) -> None:
    produce, shipped = types.STAGES[types.ITEM_PRODUCE], types.STAGES[types.ITEM_SHIPPED]
    async with backend.open() as store:
        for number in range(5):
            await accept(store, signal(types.ITEM_PRODUCE, 10 - number, order=str(number), item="i"))
        await accept(store, signal(types.ITEM_SHIPPED, 20, order="4", item="i", tracking="T", shipping_option="x"))
        await accept(store, signal(types.ORDER_VALIDATED, 3, order="9"))
        await follow(store)
        before = AT.replace(minute=10).timestamp()
        whole = await store.list_waiting(ACCOUNT, (produce, shipped), before, 100)
        pages: list[State] = []
        after: Key | None = None
        while page := await store.list_waiting(ACCOUNT, (produce, shipped), before, 2, after):
            pages += page
            after = page[-1].key
        validated = await store.list_waiting(ACCOUNT, (types.STAGES[types.ORDER_VALIDATED], produce), before, 100)
        assert await store.list_waiting("other", (0, 1000), before, 100) == []
    assert [state.key for state in whole] == [(ACCOUNT, order, item) for order in ("3", "2", "1") for item in ("", "i")]
    assert pages == whole
    assert [type(state) for state in validated] == [OrderState]


async def test_a_position_waits_for_signals_that_are_not_yet_committed() -> None:
    horizon = Horizon()
    assert horizon.move(Settled(5, frozenset())) == 5
    assert horizon.move(Settled(9, frozenset({"a", "b"}))) == 5
    assert horizon.move(Settled(12, frozenset({"b", "c"}))) == 5
    assert horizon.move(Settled(15, frozenset({"c"}))) == 9
    assert horizon.move(Settled(20, frozenset({"d"}))) == 15
    assert horizon.move(Settled(21, frozenset())) == 21


async def test_answers_and_outcomes_are_counted_by_hour(backend: Backend) -> None:
    now = AT.timestamp()
    async with backend.open() as store:
        await accept(store, signal(types.ITEM_PRODUCE, 1))
        await follow(store)
        for later in (0, 1800, 3600):
            await store.add_hourly_counts(
                {(ACCOUNT, "200"): 2, ("other", "401"): 1}, {(ACCOUNT, "erp", "delivered"): 3}, now + later
            )
        assert await store.read_hourly_signals(None, now, now + 3600) == [
            (now, ACCOUNT, "", "200", 4),
            (now, ACCOUNT, types.ITEM_PRODUCE, "accepted", 1),
            (now, "other", "", "401", 2),
        ]
        assert await store.read_hourly_signals(["other"], now + 1, now + 7200) == [(now + 3600, "other", "", "401", 1)]
        assert await store.read_hourly_deliveries([ACCOUNT], now, now + 7200) == [
            (now, ACCOUNT, "erp", "delivered", 6),
            (now + 3600, ACCOUNT, "erp", "delivered", 3),
        ]
