"""The store's contract: what watches ask for, of many accounts at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway import signal_types as types
from gateway.alerts import Condition
from gateway.order_state import State
from gateway.signal_types import STAGES
from gateway.store.contract import Store
from gateway.store.values import Telling
from tests.contract.store_case import NOW, Backend, accept
from tests.support.factory import ACCOUNT, make_signal

pytestmark = pytest.mark.gen_test

HOUR = 3600.0
AT = datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()
TO_SHIP = (STAGES[types.ITEM_PRODUCED], STAGES[types.ITEM_SHIPPED])


async def send(store: Store, type: str, at: float, *, account: str = ACCOUNT, order: str = "1", **fields: Any) -> None:
    moment = datetime.fromtimestamp(at, UTC)
    signal = make_signal(type, account=account, order=order, datetime=moment.isoformat(), id=0, **fields)
    await accept(store, signal)


async def follow(store: Store) -> None:
    while (await store.follow_orders("a", NOW, NOW + 2, 100)).more:
        pass


def names(states: list[State]) -> list[tuple[str, str]]:
    return sorted((state.account, state.item) for state in states)


async def late(store: Store, before: float, accounts: tuple[str, ...] = (ACCOUNT,), limit: int = 100) -> Any:
    return names([*await store.list_late(accounts, TO_SHIP, types.ITEM_PRODUCED, before, limit)])


async def test_items_that_wait_are_found_by_the_time_of_the_first_event(backend: Backend) -> None:
    async with backend.open() as store:
        await send(store, types.ITEM_PRODUCED, AT, item="waits")
        await send(store, types.ITEM_PRODUCED, AT, item="packed")
        await send(store, types.ITEM_PACKED, AT + 9 * HOUR, item="packed")
        await send(store, types.ITEM_PRODUCED, AT, item="shipped")
        await send(store, types.ITEM_SHIPPED, AT + HOUR, item="shipped", tracking="T", shipping_option="dhl")
        await send(store, types.ITEM_PRODUCE, AT, item="earlier")
        await send(store, types.ITEM_PACKED, AT, item="never-produced")
        await follow(store)
        assert await late(store, AT) == []
        assert await late(store, AT + 1) == [(ACCOUNT, "packed"), (ACCOUNT, "waits")]
        assert len(await late(store, AT + 1, limit=1)) == 1


async def test_many_accounts_are_asked_at_once(backend: Backend) -> None:
    async with backend.open() as store:
        for account in ("a", "b", "c"):
            await send(store, types.ITEM_PRODUCED, AT, account=account, item="i")
        await follow(store)
        assert await late(store, NOW, ("a", "c", "unknown")) == [("a", "i"), ("c", "i")]
        assert await late(store, NOW, ()) == []


async def test_an_order_is_found_by_its_own_signals(backend: Backend) -> None:
    async with backend.open() as store:
        await send(store, types.ORDER_VALIDATED, AT, item=None)
        await follow(store)
        stages = (0, STAGES[types.ITEM_PRODUCE])
        assert names([*await store.list_late([ACCOUNT], stages, types.ORDER_VALIDATED, NOW, 10)]) == [(ACCOUNT, "")]
        await send(store, types.ITEM_PRODUCE, AT + HOUR, item="i")
        await follow(store)
        assert await store.list_late([ACCOUNT], stages, types.ORDER_VALIDATED, NOW, 10) == []


async def test_items_in_trouble_are_found_until_they_go_on(backend: Backend) -> None:
    async with backend.open() as store:
        await send(store, types.ITEM_PRODUCE, AT, item="i")
        await send(store, types.ITEM_ERROR, AT + HOUR, item="i", delay="24")
        await send(store, types.ITEM_PRODUCE, AT, item="well")
        await follow(store)
        (state,) = await store.list_troubled([ACCOUNT], (0, STAGES[types.ITEM_PRODUCED]), 10)
        assert (state.item, state.problem and state.problem.delay) == ("i", "24")  # type: ignore[union-attr]
        await send(store, types.ITEM_PRODUCED, AT + 2 * HOUR, item="i")
        await follow(store)
        assert await store.list_troubled([ACCOUNT], (0, STAGES[types.ITEM_PRODUCED]), 10) == []


async def test_active_hours_are_those_with_the_vendors_signals(backend: Backend) -> None:
    async with backend.open() as store:
        await send(store, types.ITEM_PRODUCE, AT, item="i")
        await send(store, types.ITEM_PRODUCED, AT, item="i")
        await store.raise_alerts([Telling(Condition(ACCOUNT, "x", cause="key-ends"), (), ())], NOW + 9 * HOUR)
        await follow(store)
        (hour,) = await store.list_active_hours(ACCOUNT, 0.0)
        assert hour == NOW - NOW % HOUR
        assert await store.list_active_hours(ACCOUNT, NOW + 1) == []
        assert await store.list_active_hours("other", 0.0) == []


async def test_the_oldest_signal_that_is_in_no_state_is_told(backend: Backend) -> None:
    async with backend.open() as store:
        assert await store.oldest_unfollowed() is None
        await send(store, types.ITEM_PRODUCE, AT, item="i")
        assert await store.oldest_unfollowed() == NOW
        await follow(store)
        assert await store.oldest_unfollowed() is None
