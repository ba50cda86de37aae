"""The store's contract: requests in quarantine, and their release."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.store.contract import Store
from gateway.store.values import Filter, Refused
from tests.contract.store_case import NOW, Backend, accept, numbered
from tests.support.factory import ACCOUNT, make_signal

pytestmark = pytest.mark.gen_test


async def fill(store: Store) -> list[int]:
    """Quarantine four requests, a minute from each other, the last of another account. Return their ids."""
    accounts = [ACCOUNT] * 3 + ["printery"]
    return [
        await store.quarantine(Refused(account, NOW + 60 * number, f"body {number}", {"body": "no JSON"}))
        for number, account in enumerate(accounts)
    ]


async def numbers(store: Store, which: Filter, limit: int = 100) -> list[int]:
    return [int(row.body.removeprefix("body ")) for row in await store.list_quarantined_oldest(which, limit)]


@pytest.mark.parametrize(
    ("which", "found"),
    [
        ({}, [0, 1, 2, 3]),
        ({"account": ACCOUNT}, [0, 1, 2]),
        ({"since": NOW + 60}, [1, 2, 3]),
        ({"until": NOW + 60}, [0]),
        ({"account": "printery", "until": NOW + 180}, []),
        ({"ids": []}, []),
        ({"ids": [2**70, -1]}, []),
        ({"after": 2**70}, []),
    ],
)
async def test_filters_oldest_first(backend: Backend, which: dict[str, Any], found: list[int]) -> None:
    async with backend.open() as store:
        await fill(store)
        assert await numbers(store, Filter(**which)) == found


@pytest.mark.parametrize("order", ["PO%_1", "B\u00dcRO-1", 'say "5"', "back\\slash"])
async def test_bodies_that_contain_an_order(backend: Backend, order: str) -> None:
    async with backend.open() as store:
        for body in (json.dumps({"order": order}, ensure_ascii=False), f"order={order}", '{"order": "POxx1"}'):
            await store.quarantine(Refused(ACCOUNT, NOW, body, {}))
        assert [row.id for row in await store.list_quarantined_oldest(Filter(order=order), 10)] == [1, 2]


async def test_pages_go_by_ids(backend: Backend) -> None:
    async with backend.open() as store:
        kept = await fill(store)
        assert await numbers(store, Filter(), 2) == [0, 1]
        assert await numbers(store, Filter(after=kept[1]), 2) == [2, 3]
        assert await numbers(store, Filter(after=kept[0], upto=kept[2])) == [1, 2]
        assert await numbers(store, Filter(ids=[kept[3], kept[1]])) == [1, 3]


async def test_a_released_request_is_kept_and_not_listed(backend: Backend) -> None:
    async with backend.open(actor="ada") as store:
        kept = await fill(store)
        await accept(store, numbered(1))
        assert await store.count_quarantined() == {ACCOUNT: 3, "printery": 1}
        assert await store.release_quarantined(kept[1], numbered(1), NOW + 3600)
        assert await store.count_quarantined() == {ACCOUNT: 2, "printery": 1}
        assert not await store.release_quarantined(kept[1], numbered(1), NOW + 7200)
        assert not await store.release_quarantined(99, numbered(1), NOW)
        assert await numbers(store, Filter()) == [0, 2, 3]
        assert [row.body for row in await store.list_quarantined(Filter(account=ACCOUNT), 10)] == ["body 2", "body 0"]
        assert backend.execute("SELECT body, accepted_at, signal_id FROM quarantine WHERE accepted_at IS NOT NULL") == [
            ("body 1", round((NOW + 3600) * 1e6), 1)
        ]
        [event] = await store.list_actions("release", 10)
        assert (event.actor, event.detail) == ("ada", {"account": ACCOUNT, "quarantine": kept[1], "signal": 1})


async def test_the_signal_is_found_without_a_time_too(backend: Backend) -> None:
    timeless = make_signal("Unheard", datetime=None, id=0)
    async with backend.open() as store:
        kept = await fill(store)
        await accept(store, numbered(1))
        await accept(store, timeless)
        await store.release_quarantined(kept[0], timeless, NOW)
        assert backend.execute("SELECT signal_id FROM quarantine WHERE accepted_at IS NOT NULL") == [(2,)]
