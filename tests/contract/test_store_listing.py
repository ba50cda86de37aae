"""The store's contract: listings and the ledger."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from gateway.model import Dead, Done, RetryAt
from gateway.signal_types import ITEM_ERROR, ITEM_SHIPPED
from gateway.store.contract import Store
from gateway.store.values import DeliveryKey, Filter
from tests.contract.store_case import NOW, Backend, accept, claim, finish, numbered
from tests.support.factory import ACCOUNT, make_signal
from tests.support.ledger import read_ledger

pytestmark = pytest.mark.gen_test


async def fill(store: Store) -> None:
    """Accept six signals, one a minute:

    ids 1-6 alternate between orders 0 and 1, 3 and 6 are errors, 5 and 6 printery's.
    """
    for number in range(6):
        signal = make_signal(
            ITEM_ERROR if number % 3 == 2 else ITEM_SHIPPED,
            account="printery" if number > 3 else ACCOUNT,
            order=str(number % 2),
            order_reference=f"PO-{number % 2}",
            item=str(number),
            id=0,
        )
        signal = dataclasses.replace(signal, received_at=signal.received_at + timedelta(minutes=number))
        await accept(store, signal, ("erp", "export") if number < 2 else ("erp",), unrouted=("alerts",))


@pytest.mark.parametrize(
    ("which", "found"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"account": "printery"}, [6, 5]),
        ({"account": ""}, []),
        ({"accounts": ["printery", "other"]}, [6, 5]),
        ({"accounts": ["printery"], "account": ACCOUNT}, []),
        ({"accounts": []}, []),
        ({"type": ITEM_ERROR}, [6, 3]),
        ({"order": "1"}, [6, 4, 2]),
        ({"order": "PO-1", "account": ACCOUNT}, [4, 2]),
        ({"ids": [2, 5, 99]}, [5, 2]),
        ({"ids": []}, []),
        ({"ids": [2**70, 0, -3]}, []),
        ({"since": NOW + 120}, [6, 5, 4, 3]),
        ({"until": NOW + 120}, [2, 1]),
        ({"since": NOW + 60, "until": NOW + 180}, [3, 2]),
        ({"since": 1e300}, []),
        ({"until": float("inf")}, [6, 5, 4, 3, 2, 1]),
        ({"route": "export"}, [2, 1]),
        ({"route": "export", "type": ITEM_ERROR}, []),
        ({"route": "alerts"}, []),
        ({"state": "delivered"}, [1]),
        ({"state": "pending", "order": "0"}, [5, 3, 1]),
        ({"route": "erp", "state": "pending", "order": "0"}, [5, 3]),
    ],
)
async def test_filters(backend: Backend, which: dict[str, Any], found: list[int]) -> None:
    async with backend.open() as store:
        await fill(store)
        await finish(store, await claim(store, limit=1))
        signals = [row.signal.id for row in await store.list_signals(Filter(**which), 100)]
        deliveries = [row.signal_id for row in await store.list_deliveries(Filter(**which), 100)]
        assert signals == found
        assert [signal.id for signal in await store.list_signals_after(Filter(**which), 0, 100)] == found[::-1]
        assert await store.count_signals(Filter(**which)) == len(found)
        assert list(dict.fromkeys(deliveries)) == found


async def test_listings_end_at_the_limit_newest_first(backend: Backend) -> None:
    async with backend.open() as store:
        await fill(store)
        assert [row.signal.id for row in await store.list_signals(Filter(), 2)] == [6, 5]
        rows = await store.list_deliveries(Filter(ids=[1, 2]), 3)
        assert [(row.signal_id, row.route) for row in rows] == [(2, "erp"), (2, "export"), (1, "erp")]


async def test_pages_follow_one_another_whatever_comes_meanwhile(backend: Backend) -> None:
    async with backend.open() as store:
        await fill(store)
        which = Filter(account=ACCOUNT, until=NOW + 240)
        first = await store.list_signals_after(which, 0, 3)
        await accept(store, numbered(99))
        second = await store.list_signals_after(which, first[-1].id, 3)
        assert [signal.id for signal in (*first, *second)] == [1, 2, 3, 4, 7]
        assert list(first) == [row.signal for row in await store.list_signals(Filter(ids=[1, 2, 3]), 3)][::-1]
        assert await store.list_signals_after(which, 7, 3) == []


async def test_a_delivery_as_listed(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        await accept(store, numbered(2))
        second, first = await store.list_deliveries(Filter(), 10)
        assert (first.account, first.route, first.lane, first.state) == (ACCOUNT, "erp", "1", "pending")
        assert (first.created_at, first.due_at, first.ended_at, first.reason) == (NOW, NOW, None, "")
        assert (first.held, first.leased_until, first.attempts) == (False, None, 0)
        assert second.due_at is None


async def test_the_ledger_counts_every_route(backend: Backend) -> None:
    async with backend.open() as store:
        assert await read_ledger(store) == {}
        await fill(store)
        one, two = await claim(store, NOW + 60)
        await finish(store, [one], Dead("gone"))
        await finish(store, [two], Done("filtered", "nothing to do"))
        await accept(store, numbered(9), ("erp",), hold=True)
        none = {"accepted": 0, "delivered": 0, "pending": 0, "dead": 0, "filtered": 0}
        assert await read_ledger(store) == {
            (ACCOUNT, "erp"): none | {"accepted": 5, "dead": 1, "filtered": 1, "pending": 3},
            (ACCOUNT, "export"): none | {"accepted": 2, "pending": 2},
            (ACCOUNT, "alerts"): none | {"accepted": 4, "filtered": 4},
            ("printery", "erp"): none | {"accepted": 2, "pending": 2},
            ("printery", "alerts"): none | {"accepted": 2, "filtered": 2},
        }


async def test_deliveries_are_listed_with_late_of_their_signal(backend: Backend) -> None:
    async with backend.open() as store:
        for hour in (12, 11):
            await accept(store, make_signal(ITEM_SHIPPED, id=0, order="1", datetime=f"2026-11-20T{hour}:00:00+00:00"))
        assert [row.late for row in await store.list_deliveries(Filter(), 10)] == [True, False]


async def test_the_heads_that_a_signal_waits_behind(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1), ("erp", "export"))
        await accept(store, numbered(2), ("erp", "export"))
        await accept(store, numbered(3), hold=True)
        await finish(store, await claim(store, routes=("export",)), RetryAt(NOW + 60, "down"))
        await finish(store, await claim(store, limit=1))
        heads = await store.read_heads(2)
        assert {route: (row.signal_id, row.due_at, row.reason) for route, row in heads.items()} == {
            "export": (1, NOW + 60, "down")
        }
        for signal in (1, 3, 99):
            assert await store.read_heads(signal) == {}


async def test_a_listed_delivery_has_its_signals_type_order_and_item(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(2):
            await accept(store, make_signal(ITEM_ERROR, id=0, order="41", order_reference="PO-41", item="7", n=number))
        rows = [*await store.list_deliveries(Filter(), 10), *(await store.read_heads(2)).values()]
        assert len(rows) == 3
        facts = {(row.type, row.order, row.order_reference, row.item) for row in rows}
        assert facts == {("ItemError", "41", "PO-41", "7")}


async def test_dead_letters_are_counted_by_route(backend: Backend) -> None:
    async with backend.open() as store:
        assert await store.count_dead() == {}
        await fill(store)
        await finish(store, await claim(store), Dead("no such order"))
        dead = await store.list_deliveries(Filter(state="dead"), 100)
        assert await store.count_dead() == {(ACCOUNT, "erp"): len(dead)}


async def test_a_listing_of_deliveries_goes_on_within_a_signal(backend: Backend) -> None:
    async with backend.open() as store:
        await fill(store)
        listed, beyond = [], None
        while page := await store.list_deliveries(Filter(accounts=[ACCOUNT], beyond=beyond), 1):
            beyond = DeliveryKey(page[0].signal_id, page[0].route)
            listed.append(tuple(beyond))
        assert listed == [(4, "erp"), (3, "erp"), (2, "erp"), (2, "export"), (1, "erp"), (1, "export")]
        assert await store.list_deliveries(Filter(beyond=DeliveryKey(-(2**70), "")), 1) == []
        assert len(await store.list_deliveries(Filter(beyond=DeliveryKey(2**70, "")), 9)) == 8
