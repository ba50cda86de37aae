"""The store's contract: one pending delivery is made due now, or skipped, by a person."""

from __future__ import annotations

import dataclasses

import pytest

from gateway.model import RetryAt
from gateway.store.contract import Store
from gateway.store.values import Filter, RouteState
from tests.contract.store_case import (
    DELIVERED,
    LEASE,
    NOW,
    Backend,
    accept,
    claim,
    finish,
    ids,
    numbered,
    replay_all,
    result_of,
    states,
)
from tests.support.factory import ACCOUNT

pytestmark = pytest.mark.gen_test

ROUTE = (ACCOUNT, "erp")
LATER = NOW + 3600


async def check_custody(store: Store) -> None:
    assert [wrong async for page in store.check_custody() for wrong in page.violations] == []


async def test_a_delivery_made_due_comes_before_all_others(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(3):
            await accept(store, numbered(number, order=str(number)))
        claimed = await claim(store)
        await store.record([result_of(claimed[1], RetryAt(LATER, "busy"))], {})
        await store.renew([claimed[0], claimed[2]], NOW)
        assert await store.try_now(*ROUTE, 2, NOW + 2, "retry")
        assert ids(await claim(store, limit=1, now=NOW + 2)) == [2]


@pytest.mark.parametrize("case", ["leased", "behind", "held", "ended", "unknown"])
async def test_only_a_free_head_can_be_made_due(backend: Backend, case: str) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1), hold=case == "held")
        await accept(store, numbered(2), hold=case == "held")
        if case in ("leased", "ended"):
            claimed = await claim(store)
            if case == "ended":
                await finish(store, claimed)
        signal_id = {"behind": 2, "unknown": 99}.get(case, 1)
        before = await store.list_deliveries(Filter(), 9)
        assert not await store.try_now(*ROUTE, signal_id, NOW, "retry")
        assert await store.list_deliveries(Filter(), 9) == before
        assert not await store.list_actions(None, 9)


async def test_trying_a_resting_route_makes_its_probe_due_and_is_recorded(backend: Backend) -> None:
    async with backend.open() as store:
        await store.save_route_state(RouteState(*ROUTE, opened=1, probe_at=LATER, reason="wrong api_key"))
        await store.save_route_state(RouteState(ACCOUNT, "other", opened=1, probe_at=LATER, reason="down"))
        assert await store.try_now(*ROUTE, None, NOW, "probe")
        found = await store.read_route_states()
        assert (found[ROUTE].probe_at, found[ROUTE].reason) == (0, "wrong api_key")
        assert found[ACCOUNT, "other"].probe_at == LATER
        [action] = await store.list_actions("probe", 9)
        assert action.detail == {"account": ACCOUNT, "route": "erp"}


async def test_a_working_route_gets_no_state_by_being_tried(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        assert await store.try_now(*ROUTE, 1, NOW, "retry")
        assert not await store.read_route_states()
        [action] = await store.list_actions("retry", 9)
        assert action.detail == {"account": ACCOUNT, "route": "erp", "signal": 1}


@pytest.mark.parametrize("lane", [True, False])
async def test_a_skipped_head_is_filtered_and_the_next_passes(backend: Backend, lane: bool) -> None:
    async with backend.open() as store:
        for number in range(3):
            await accept(store, numbered(number), lane=lane)
        assert await store.skip(*ROUTE, 1, NOW + 1, "the order was made by hand")
        [row] = await store.list_deliveries(Filter(ids=[1]), 9)
        assert (row.state, row.attempts, row.ended_at, row.due_at) == ("filtered", 0, NOW + 1, None)
        assert row.reason.endswith(": the order was made by hand")
        assert row.reason.startswith("skipped by ")
        assert ids(await claim(store)) == ([2] if lane else [2, 3])
        [action] = await store.list_actions("skip", 9)
        assert action.detail == {
            "account": ACCOUNT,
            "route": "erp",
            "signal": 1,
            "why": "the order was made by hand",
        }
        await check_custody(store)


@pytest.mark.parametrize("hold", [True, False])
async def test_what_waits_is_skipped_without_a_second_head(backend: Backend, hold: bool) -> None:
    async with backend.open() as store:
        for number in range(3):
            await accept(store, numbered(number), hold=hold)
        assert await store.skip(*ROUTE, 2, NOW, "")
        assert await states(store) == {(1, "erp"): "pending", (2, "erp"): "filtered", (3, "erp"): "pending"}
        await check_custody(store)
        if hold:
            await store.add_known_orders(ACCOUNT, ["1"], NOW)
        for expected in (1, 3):
            claimed = await claim(store)
            assert ids(claimed) == [expected]
            await finish(store, claimed)


async def test_a_leased_or_ended_delivery_is_not_skipped_until_its_lease_ends(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        [claimed] = await claim(store)
        assert not await store.skip(*ROUTE, 1, NOW, "")
        assert await store.skip(*ROUTE, 1, NOW + LEASE + 1, "")
        assert await store.record([result_of(claimed, DELIVERED)], {}) == 0
        assert not await store.skip(*ROUTE, 1, NOW, "")
        assert not await store.skip(*ROUTE, 99, NOW, "")
        await check_custody(store)


async def test_a_skipped_delivery_can_be_replayed(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        await store.skip(*ROUTE, 1, NOW, "")
        assert await replay_all(store, Filter(ids=[1]), NOW) == 1
        [claimed] = await claim(store)
        assert dataclasses.replace(claimed, lease="").replayed
        await finish(store, [claimed])
        await check_custody(store)


async def test_a_claim_that_is_given_back_is_as_it_was_before(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(3):
            await accept(store, numbered(number, order=str(number)))
        before = await store.list_deliveries(Filter(), 9)
        first, *others = await claim(store)
        assert await store.release(others) == 2
        assert await store.release(others) == 0
        assert await store.release([dataclasses.replace(first, lease="another")]) == 0
        assert await store.list_deliveries(Filter(), 9) != before
        assert await store.release([first]) == 1
        assert await store.list_deliveries(Filter(), 9) == before
        assert ids(await claim(store)) == [1, 2, 3]
