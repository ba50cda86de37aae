"""The store's contract: late signals, and the furthest stage of an order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway import signal_types
from gateway.model import Dead
from gateway.store.contract import Store
from gateway.store.values import Filter
from tests.contract.store_case import NOW, Backend, accept, claim, finish, replay_all
from tests.support.factory import make_signal

pytestmark = pytest.mark.gen_test


async def take(store: Store, type: str, hour: int | None, item: str | None = "1", **fields: str) -> None:
    """Accept a signal of the order, or of another in `fields`, that happened at an hour."""
    sent = None if hour is None else f"2026-11-20T{hour:02}:00:00+00:00"
    fields = {"order": "1", **fields}
    await accept(store, make_signal(type, id=0, datetime=sent, item=item, **fields))


async def late(store: Store) -> list[int]:
    return sorted(row.signal.id for row in await store.list_signals(Filter(), 100) if row.signal.late)


async def furthest(store: Store, orders: Sequence[str] = ("1",)) -> list[str]:
    """Deliver everything, and return the furthest stage of its order that each delivery had."""
    told = []
    while claimed := await claim(store):
        told += [delivery.furthest for delivery in claimed if delivery.signal.order in orders]
        await finish(store, claimed)
    return told


async def test_a_signal_after_a_later_one_of_its_item_is_late(backend: Backend) -> None:
    async with backend.open() as store:
        await take(store, signal_types.ITEM_PRODUCED, 12)
        await take(store, signal_types.ITEM_PRODUCE, 11)
        await take(store, signal_types.ITEM_PACKED, 12)  # at the same time is not late
        await take(store, signal_types.ITEM_PRODUCE, 11, item="2")  # another item
        await take(store, signal_types.ITEM_PRODUCE, 11, order="2")  # another order
        assert await late(store) == [2]


async def test_signals_of_the_whole_order_and_of_its_items_make_each_other_late(backend: Backend) -> None:
    async with backend.open() as store:
        await take(store, signal_types.ORDER_CANCELED, 12, item=None)
        await take(store, signal_types.ITEM_PRODUCE, 11)
        await take(store, signal_types.ITEM_PRODUCE, 13, item="2")
        await take(store, signal_types.ORDER_VALIDATED, 12, item=None)
        assert await late(store) == [2, 4]


async def test_a_signal_without_a_time_or_an_order_is_never_late(backend: Backend) -> None:
    async with backend.open() as store:
        await take(store, signal_types.ITEM_PRODUCED, 12)
        await take(store, "Unheard", None)
        await take(store, "Unheard", 12, order="")
        await take(store, "Unheard", 11, order="")
        assert await late(store) == []


async def test_a_late_signal_is_known_as_such_to_its_sinks(backend: Backend) -> None:
    async with backend.open() as store:
        await take(store, signal_types.ITEM_DELIVERY_COMPLETED, 15)
        await take(store, signal_types.ITEM_SHIPPED, 12)
        await finish(store, await claim(store))
        [delivery] = await claim(store)
        assert (delivery.signal.late, delivery.overtaken) == (True, True)
        assert delivery.furthest == signal_types.ITEM_DELIVERY_COMPLETED


async def test_the_furthest_is_of_the_item_and_the_whole_order_up_to_the_signal(backend: Backend) -> None:
    async with backend.open() as store:
        await take(store, signal_types.ITEM_PACKED, 10)
        await take(store, signal_types.ITEM_SHIPPED, 11, item="2")
        await take(store, signal_types.ITEM_PRODUCED, 9)
        await take(store, signal_types.ORDER_CANCELED, 12, item=None)
        await take(store, signal_types.ITEM_SHIPPED, 13)
        await take(store, "Unheard", None, order="")
        told = [
            signal_types.ITEM_PACKED,
            signal_types.ITEM_SHIPPED,
            signal_types.ITEM_PACKED,
            *[signal_types.ORDER_CANCELED] * 2,
        ]
        assert await furthest(store) == told


async def test_for_an_order_as_a_whole_the_furthest_is_that_of_all_its_items(backend: Backend) -> None:
    async with backend.open() as store:
        await take(store, signal_types.ITEM_SHIPPED, 11, item="2")
        await take(store, signal_types.ORDER_VALIDATED, 9, item=None)
        assert await furthest(store) == [signal_types.ITEM_SHIPPED] * 2


async def test_an_unknown_type_has_no_stage(backend: Backend) -> None:
    async with backend.open() as store:
        await take(store, "Unheard", 11)
        [delivery] = await claim(store)
        assert (delivery.furthest, delivery.overtaken) == ("Unheard", False)


async def test_a_replay_knows_all_that_came_since(backend: Backend) -> None:
    async with backend.open() as store:
        await take(store, signal_types.ITEM_PRODUCE, 10)
        await finish(store, await claim(store), Dead("gone"))
        await take(store, signal_types.ITEM_SHIPPED, 11)
        assert await furthest(store) == [signal_types.ITEM_SHIPPED]
        await replay_all(store, Filter(state="dead"), NOW)
        [replay] = await claim(store)
        assert (replay.signal.type, replay.furthest) == (signal_types.ITEM_PRODUCE, signal_types.ITEM_SHIPPED)
        assert replay.overtaken
