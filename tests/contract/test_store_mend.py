"""The store's contract: replay, and deliveries held until their order is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.model import Dead, Done, RetryAt
from gateway.store.contract import Store
from gateway.store.reads import pages
from gateway.store.values import Actor, ClaimRequest, Filter, MadeKnown
from tests.contract.store_case import (
    NOW,
    Backend,
    accept,
    claim,
    count_replay,
    finish,
    ids,
    numbered,
    replay_all,
    states,
)
from tests.support.factory import ACCOUNT, AT

pytestmark = pytest.mark.gen_test

DEAD = Filter(state="dead")
LATER = NOW + 86400


async def test_a_replayed_delivery_starts_anew(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        await finish(store, await claim(store), RetryAt(NOW, "down"))
        await finish(store, await claim(store), Dead("gone"))
        assert await count_replay(store, DEAD) == {(ACCOUNT, "erp"): 1}
        assert await replay_all(store, DEAD, LATER) == 1
        [row] = await store.list_deliveries(Filter(), 10)
        assert (row.state, row.attempts, row.reason, row.ended_at) == ("pending", 0, "", None)
        assert (row.created_at, row.due_at) == (LATER, LATER)
        [delivery] = await claim(store, LATER)
        assert (delivery.attempt, delivery.created_at) == (1, LATER)
        assert [a.reason for a in (await store.read_attempts(1))["erp"]] == ["down", "gone"]


async def test_a_second_replay_finds_nothing(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(3):
            await accept(store, numbered(number), lane=False)
        await finish(store, await claim(store), Dead("gone"))
        assert await replay_all(store, DEAD, LATER) == 3
        assert await replay_all(store, DEAD, LATER) == 0
        assert await count_replay(store, Filter()) == {}
        assert len(await claim(store, LATER)) == 3
        assert await claim(store, LATER) == []


async def test_each_ended_state_can_be_replayed_and_pending_deliveries_are_left_alone(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(5):
            await accept(store, numbered(number), lane=False)
        deliveries = await claim(store, limit=4)
        for delivery, decision in zip(
            deliveries, (Dead("gone"), Done("delivered"), Done("filtered", "skip"), RetryAt(LATER, "down")), strict=True
        ):
            await finish(store, [delivery], decision)
        assert await replay_all(store, Filter(state="pending"), NOW) == 0
        assert await replay_all(store, Filter(state="filtered"), NOW) == 1
        assert await replay_all(store, Filter(), NOW) == 2
        assert sorted(ids(await claim(store))) == [1, 2, 3, 5]


async def test_a_replay_goes_by_its_filter(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(3):
            await accept(store, numbered(number, order=str(number)), ("erp", "export"))
        await finish(store, await claim(store, routes=("erp", "export")), Dead("gone"))
        for which in (
            Filter(order="PO-1", route="erp"),
            Filter(ids=[3, 2**80, -1], route="export"),
            Filter(account="printery"),
            Filter(ids=[]),
        ):
            expected = await count_replay(store, which)
            assert await replay_all(store, which, NOW) == expected.total()
        pending = [key for key, state in (await states(store)).items() if state == "pending"]
        assert sorted(pending) == [(2, "erp"), (3, "export")]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "IDS_PER_PAGE", 7)
    monkeypatch.setattr(pages, "SIGNALS_PER_REPLAY", 3)


async def bury(store: Store, signals: int, routes: Sequence[str] = ("erp",)) -> None:
    """Make dead letters, each of another order."""
    for number in range(signals):
        await accept(store, numbered(number, order=str(number)), routes)
    await finish(store, await claim(store, limit=10 * signals, routes=routes), Dead("gone"))


@pytest.mark.usefixtures("small_pages")
async def test_a_replay_goes_page_by_page_and_tells_how_far_it_is(backend: Backend) -> None:
    async with backend.open() as store:
        await bury(store, 10, ("erp", "export"))
        erp = Filter(state="dead", route="erp")
        pages = [page async for page in store.replay(erp, NOW)]
        assert [(page.first, page.reached, page.last) for page in pages] == [(1, at, 10) for at in (3, 6, 9, 10)]
        assert [page.found for page in pages] == [{(ACCOUNT, "erp"): n} for n in (3, 3, 3, 1)]
        assert set((await states(store, route="export")).values()) == {"dead"}
        looked = [(page.reached, page.found) async for page in store.count_replay(DEAD)]
        assert looked == [(7, {(ACCOUNT, "export"): 7}), (10, {(ACCOUNT, "export"): 3})]


@pytest.mark.usefixtures("small_pages")
async def test_a_replay_can_stop_after_a_page_and_go_on_later(backend: Backend) -> None:
    async with backend.open() as store:
        await bury(store, 10)
        page = await anext(store.replay(DEAD, NOW))
        assert await count_replay(store, DEAD) == {(ACCOUNT, "erp"): 7}
        assert await replay_all(store, replace(DEAD, after=page.reached, upto=5), NOW) == 2
        assert await replay_all(store, replace(DEAD, after=2**70), NOW) == 0
        assert await replay_all(store, replace(DEAD, after=-(2**70)), NOW) == 5


@pytest.mark.usefixtures("small_pages")
async def test_a_replay_leaves_out_deliveries_that_end_or_come_during_it(backend: Backend) -> None:
    async with backend.open() as store:
        await bury(store, 8)
        replayed = 0
        async for page in store.replay(Filter(), NOW):
            replayed += sum(page.found.values())
            await accept(store, numbered(100 + replayed, order="new"))
            await finish(store, await claim(store), Dead("gone again"))
        assert replayed == 8
        assert [row.attempts for row in await store.list_deliveries(Filter(upto=8), 10)] == [1] * 8


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(
    ("which", "found"),
    [
        ({"ids": [2, 9]}, 2),
        ({"ids": []}, 0),
        ({"order": "4"}, 1),
        ({"order": "PO-4"}, 1),
        ({"order": "none such"}, 0),
        ({"type": "ItemShipped"}, 10),
        ({"type": "ItemError"}, 0),
        ({"since": NOW}, 10),
        ({"until": NOW}, 0),
        ({"account": ACCOUNT, "route": "erp", "state": "dead", "after": 4, "since": NOW, "upto": 9}, 5),
    ],
)
async def test_each_filter_finds_its_matches_over_all_pages(
    backend: Backend, which: dict[str, Any], found: int
) -> None:
    async with backend.open() as store:
        await bury(store, 10)
        assert (await count_replay(store, Filter(**which))).total() == found
        assert await replay_all(store, Filter(**which), NOW) == found
        assert await replay_all(store, Filter(**which), NOW) == 0


async def test_there_is_nothing_to_replay_in_an_empty_store(backend: Backend) -> None:
    async with backend.open() as store:
        assert [page async for page in store.replay(Filter(), NOW)] == []
        assert [page async for page in store.count_replay(Filter())] == []


async def test_a_replayed_delivery_comes_after_the_live_ones_of_its_lane(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(3):
            await accept(store, numbered(number))
        await finish(store, await claim(store), Dead("gone"))
        [second] = await claim(store)
        assert await replay_all(store, DEAD, NOW) == 1
        assert await claim(store) == []
        await finish(store, [second])
        [third] = await claim(store)
        assert ids([second, third]) == [2, 3]
        await finish(store, [third])
        [first] = await claim(store)
        assert (first.signal.id, first.replayed, third.replayed) == (1, True, False)


async def test_a_replay_makes_way_for_new_deliveries(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        await finish(store, await claim(store), Dead("gone"))
        await replay_all(store, DEAD, NOW)
        await accept(store, numbered(2))
        [live] = await claim(store)
        assert live.signal.id == 2
        await finish(store, [live])
        [replay] = await claim(store)
        await accept(store, numbered(3))
        assert await claim(store) == []  # one of a lane at a time, and it has begun
        await finish(store, [replay], RetryAt(NOW + 1000, "down"))
        assert ids(await claim(store)) == [3]


async def test_a_replay_makes_way_for_freed_deliveries(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        await accept(store, numbered(2), hold=True)
        await finish(store, await claim(store), Dead("gone"))
        await replay_all(store, DEAD, NOW)
        await store.add_known_orders(ACCOUNT, ["1"], NOW)
        assert ids(await claim(store)) == [2]


async def test_replays_get_no_more_than_their_share(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(8):
            await accept(store, numbered(number, order=str(number)))
        await finish(store, await claim(store, limit=6), Dead("gone"))
        assert await replay_all(store, DEAD, NOW) == 6
        claimed = await store.claim([ClaimRequest(ACCOUNT, "erp", 4, replays=1)], NOW, LATER)
        assert [(d.signal.id, d.replayed) for d in claimed.deliveries] == [(7, False), (8, False), (1, True)]
        assert claimed.next_due == {(ACCOUNT, "erp"): LATER}  # the replays that are left would get no room
        assert ids(await claim(store, limit=2)) == [2, 3]


async def test_listings_mark_replays(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(2):
            await accept(store, numbered(number, order=str(number)))
        await finish(store, await claim(store, limit=1), Dead("gone"))
        await replay_all(store, DEAD, NOW)
        rows = await store.list_deliveries(Filter(), 10)
        assert {row.signal_id: row.replayed for row in rows} == {1: True, 2: False}


async def test_a_replayed_lane_is_played_in_its_order(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(3):
            await accept(store, numbered(number))
        while claimed := await claim(store):
            await finish(store, claimed)
        assert await replay_all(store, Filter(), LATER) == 3
        played = []
        while claimed := await claim(store, LATER):
            played += ids(claimed)
            await finish(store, claimed)
        assert played == [1, 2, 3]


async def test_signals_of_unknown_orders_are_held_until_the_order_is_known(backend: Backend) -> None:
    async with backend.open() as store:
        assert (await accept(store, numbered(1, order="7"), ("erp", "export"), hold=True)).held
        assert (await accept(store, numbered(2, order="7"), hold=True)).held
        assert (await accept(store, numbered(3, order="8"), lane=False, hold=True)).held
        assert await claim(store) == []
        assert await store.read_next_due([(ACCOUNT, "erp")]) == {}
        assert [row.held for row in await store.list_deliveries(Filter(state="pending"), 10)] == [True] * 4
        assert await store.add_known_orders("printery", ["7", "8"], LATER) == MadeKnown(new=2, freed=0)
        assert await store.add_known_orders(ACCOUNT, ["7", "9"], LATER) == MadeKnown(new=2, freed=3)
        assert await store.add_known_orders(ACCOUNT, ["7", "9"], LATER) == MadeKnown(new=0, freed=0)
        [delivery] = await claim(store, LATER)
        assert (delivery.signal.id, delivery.created_at) == (1, LATER)
        assert ids(await claim(store, LATER, routes=("export",))) == [1]
        await finish(store, [delivery])
        assert ids(await claim(store, LATER)) == [2]
        assert await store.add_known_orders(ACCOUNT, ["PO-8", "7", "PO-8"], LATER) == MadeKnown(new=1, freed=1)
        assert ids(await claim(store, LATER)) == [3]


async def test_held_orders_are_listed_by_account(backend: Backend) -> None:
    async with backend.open() as store:
        for number, order in enumerate(("8", "7", "7", "9"), 1):
            signal = replace(numbered(number, order=order), received_at=AT + timedelta(seconds=number))
            await accept(store, signal, ("erp", "export"), hold=True)
        await accept(store, numbered(5, order="6", account="printery"), hold=True)
        await accept(store, numbered(6, order="5"))
        assert await store.list_held_accounts(0) == [ACCOUNT, "printery"]
        assert await store.list_held_accounts(NOW + 1) == [ACCOUNT]
        assert await store.list_held_orders(ACCOUNT, 0, "", 10) == ["PO-7", "PO-8", "PO-9"]
        assert await store.list_held_orders(ACCOUNT, 0, "", 1) == ["PO-7"]
        assert await store.list_held_orders(ACCOUNT, 0, "PO-7", 1) == ["PO-8"]
        assert await store.list_held_orders(ACCOUNT, NOW + 3, "", 10) == ["PO-7", "PO-9"]
        await store.add_known_orders(ACCOUNT, ["PO-7"], NOW)
        assert await store.list_held_orders(ACCOUNT, 0, "", 10) == ["PO-8", "PO-9"]
        assert await store.list_held_orders("nobody", 0, "", 10) == []


@pytest.mark.parametrize("known", ["7", "PO-7"])
async def test_signals_of_known_orders_are_not_held(backend: Backend, known: str) -> None:
    async with backend.open() as store:
        await store.add_known_orders(ACCOUNT, [known, ""], NOW)
        assert not (await accept(store, numbered(1, order="7"), hold=True)).held
        assert (await accept(store, numbered(2, order="7", account="printery"), hold=True)).held
        assert ids(await claim(store)) == [1]


async def test_a_duplicate_is_not_called_held(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1), hold=True)
        again = await accept(store, numbered(1), hold=True)
        assert (again.duplicate, again.held) == (True, False)


async def test_a_freed_delivery_waits_for_a_leased_head(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1), hold=True)
        await accept(store, numbered(2), hold=False)
        [second] = await claim(store)
        assert second.signal.id == 2
        assert await store.add_known_orders(ACCOUNT, ["1"], NOW) == MadeKnown(new=1, freed=1)
        assert await claim(store) == []
        await finish(store, [second])
        assert ids(await claim(store)) == [1]


# -- the history


async def test_actions_are_listed_newest_first(backend: Backend) -> None:
    async with backend.open(actor="ann") as store:
        assert await store.list_actions(None, 10) == []
        await store.record_action("reload", {"process": 7, "trouble": "ü"}, NOW)
        await store.set_paused("bookshop", "erp", True, NOW + 1, "stocktaking")
        await store.record_action("reload", {"process": 8}, NOW + 2)
        events = await store.list_actions(None, 10)
        assert [(event.at, event.actor, event.action) for event in events] == [
            (NOW + 2, "ann", "reload"),
            (NOW + 1, "ann", "pause"),
            (NOW, "ann", "reload"),
        ]
        assert events[-1].detail == {"process": 7, "trouble": "ü"}
        assert events[0].id > events[1].id > events[2].id
        assert await store.list_actions("reload", 1) == [events[0]]
        assert await store.list_actions("reload", 9) == [events[0], events[2]]
        assert await store.list_actions(None, 9, Filter(upto=events[1].id)) == [events[1], events[2]]


async def test_an_action_has_its_account_and_the_place_of_its_actor(backend: Backend) -> None:
    async with backend.open(actor="ann", origin="command line") as store:
        await store.record_action("reload", {}, NOW)
        others = store.acting_as(Actor("oncall", "192.0.2.7"))
        await others.set_paused("bookshop", "erp", True, NOW, "")
        await others.set_paused("printshop", "erp", True, NOW, "")
        events = await store.list_actions(None, 9)
        assert [(event.account, event.actor, event.origin) for event in events] == [
            ("printshop", "oncall", "192.0.2.7"),
            ("bookshop", "oncall", "192.0.2.7"),
            (None, "ann", "command line"),
        ]
        assert await store.list_actions(None, 9, Filter(account="bookshop")) == [events[1]]
        assert await store.list_actions(None, 9, Filter(accounts=["bookshop", "x"])) == [events[1]]
        assert await store.list_actions(None, 9, Filter(accounts=[])) == []
