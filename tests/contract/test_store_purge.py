"""The store's contract: a purge removes old signals that need no delivery, each as a whole, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.model import Dead, Decision, Done, RetryAt
from gateway.store.contract import Store
from gateway.store.values import Filter, Purged, Refused
from tests.contract.store_case import DELIVERED, NOW, Backend, accept, claim, finish, numbered, replay_all, states
from tests.support.factory import ACCOUNT, AT
from tests.support.ledger import read_ledger

pytestmark = pytest.mark.gen_test

DAY = 86400.0
OLD = NOW - 100 * DAY
BEFORE = NOW - 90 * DAY


async def take(store: Store, number: int, days: float, routes: Sequence[str] = ("erp",)) -> int:
    """Accept a signal received so many days ago, and return its id."""
    signal = replace(numbered(number, order=str(number)), received_at=AT - timedelta(days=days))
    return (await accept(store, signal, routes, unrouted=("alerts",))).signal_id


async def end(store: Store, decision: Decision = DELIVERED, at: float = OLD) -> None:
    await finish(store, await claim(store, at), decision, at)


async def purge_all(store: Store, before: float = BEFORE, dead: bool = False, limit: int = 100) -> list[Purged]:
    pages = [await store.purge(before, 0, limit, dead)]
    while pages[-1].reached is not None:
        pages.append(await store.purge(before, pages[-1].reached, limit, dead))
    return pages


async def left(store: Store) -> list[int]:
    return sorted(row.signal.id for row in await store.list_signals(Filter(), 1000))


async def test_old_finished_signals_are_removed_with_all_their_rows(backend: Backend) -> None:
    async with backend.open() as store:
        old = await take(store, 1, 100)
        await end(store, RetryAt(OLD, "busy"))
        await end(store)
        skipped = await take(store, 2, 100)
        await end(store, Done("filtered", "nothing to do"))
        nowhere = await take(store, 3, 100, routes=())
        young = await take(store, 4, 10)
        await end(store, at=NOW - 10 * DAY)
        assert await store.count_purge(BEFORE, dead=False) == 3
        assert await purge_all(store) == [Purged(3, 2, young), Purged(0, 0, None)]
        assert await left(store) == [young]
        for signal in (old, skipped, nowhere):
            assert await store.read_attempts(signal) == {}
        assert await states(store) == {(young, "erp"): "delivered"}
        assert await read_ledger(store) == {
            (ACCOUNT, "erp"): {"accepted": 1, "delivered": 1, "pending": 0, "dead": 0, "filtered": 0},
            (ACCOUNT, "alerts"): {"accepted": 1, "delivered": 0, "pending": 0, "dead": 0, "filtered": 1},
        }
        assert await store.count_purge(BEFORE, dead=False) == 0


@pytest.mark.parametrize("decision", [RetryAt(NOW, "busy"), None], ids=["retried", "waiting"])
async def test_pending_deliveries_stay_whatever_their_age(backend: Backend, decision: Decision | None) -> None:
    async with backend.open() as store:
        signal = await take(store, 1, 1000, routes=("erp", "export"))
        await finish(store, await claim(store, OLD, routes=("export",)), now=OLD)
        if decision:
            await end(store, decision)
        assert await store.count_purge(NOW, dead=True) == 0
        assert sum(page.signals for page in await purge_all(store, NOW, dead=True)) == 0
        assert await states(store) == {(signal, "erp"): "pending", (signal, "export"): "delivered"}


async def test_dead_letters_stay_unless_asked_for(backend: Backend) -> None:
    async with backend.open() as store:
        signal = await take(store, 1, 100, routes=("erp", "export"))
        await finish(store, await claim(store, OLD, routes=("export",)), now=OLD)
        await end(store, Dead("no such order"))
        assert await store.count_purge(BEFORE, dead=False) == 0
        await purge_all(store)
        assert await left(store) == [signal]
        assert await store.count_purge(BEFORE, dead=True) == 1
        assert (await purge_all(store, dead=True))[0] == Purged(1, 2, signal)
        assert await left(store) == []
        assert await store.read_attempts(signal) == {}


async def test_signals_replayed_since_stay(backend: Backend) -> None:
    async with backend.open() as store:
        signal = await take(store, 1, 100)
        await end(store)
        await replay_all(store, Filter(ids=[signal]), NOW)
        await purge_all(store)
        assert await states(store) == {(signal, "erp"): "pending"}
        await end(store, at=NOW)
        await purge_all(store)
        assert await states(store) == {(signal, "erp"): "delivered"}
        await purge_all(store, NOW + 1)
        assert await left(store) == []


async def test_a_purge_goes_page_by_page_past_kept_signals(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(9):
            await take(store, number, 100)
        delivered = [delivery for delivery in await claim(store, OLD) if delivery.signal.id % 3]
        await finish(store, delivered, now=OLD)
        young = await take(store, 10, 1)
        pages = await purge_all(store, limit=4)
        assert [(page.signals, page.reached) for page in pages] == [(3, 4), (3, 8), (0, 10), (0, None)]
        assert await left(store) == [3, 6, 9, young]


async def test_dropped_partitions_remove_the_rows_that_a_purge_would(backend: Backend) -> None:
    """A store without partitions drops none; in the end both keep equal rows."""
    async with backend.open() as store:
        for day in range(95, 85, -1):
            await store.make_partitions(NOW - day * DAY, 8 * DAY)
        taken = [await take(store, number, 100 - number / 2, routes=("erp", "export")) for number in range(40)]
        await finish(store, await claim(store, OLD + 50 * DAY, routes=("export",)), now=OLD)
        claimed = {delivery.signal.id: delivery for delivery in await claim(store, OLD + 50 * DAY)}
        for place, signal in enumerate(taken):
            if decision := (DELIVERED, DELIVERED, Dead("no such order"), RetryAt(NOW, "busy"))[place % 4]:
                await finish(store, [claimed[signal]], decision, OLD)
        await replay_all(store, Filter(ids=taken[1::8]), NOW)
        goes = [signal for place, signal in enumerate(taken) if place % 8 in (0, 4, 5) and place < 20]
        assert await store.count_purge(BEFORE, dead=False) == len(goes)
        partitions = [partition async for partition in store.drop_partitions(BEFORE, dead=False)]
        pages = await purge_all(store)
        assert sum(partition.signals for partition in partitions) + sum(page.signals for page in pages) == len(goes)
        assert sum(partition.deliveries for partition in partitions) + sum(
            page.deliveries for page in pages
        ) == 2 * len(goes)
        assert await left(store) == sorted(set(taken) - set(goes))
        assert [page.violations async for page in store.check_custody()] == [[]]
        assert bool(partitions) == backend.url.startswith("postgresql")


async def test_ids_are_not_given_again_and_lanes_go_on(backend: Backend) -> None:
    async with backend.open() as store:
        first = await take(store, 1, 100)
        await end(store)
        await purge_all(store)
        again = replace(numbered(2, order="1"), received_at=AT)
        accepted = await accept(store, again)
        assert accepted.signal_id > first
        assert [delivery.signal.id for delivery in await claim(store)] == [accepted.signal_id]


async def test_quarantine_is_purged_by_itself(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(5):
            await store.quarantine(Refused(ACCOUNT, OLD, f"old {number}", {}))
        await store.quarantine(Refused(ACCOUNT, NOW, "young", {}))
        await purge_all(store)
        assert await store.count_quarantine(BEFORE) == 5
        assert [await store.purge_quarantine(BEFORE, 3) for _ in range(3)] == [3, 2, 0]
        assert [row.body for row in await store.list_quarantined(Filter(), 10)] == ["young"]
