"""The store's contract: claims, leases, results, and the order within lanes."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from gateway.errors import StoreError
from gateway.model import Attempt, Dead, Decision, Done, Kind, RetryAt
from gateway.store.values import ClaimRequest, Filter, Result
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
    result_of,
    states,
)
from tests.support.factory import ACCOUNT

pytestmark = pytest.mark.gen_test

ROUTE = (ACCOUNT, "erp")


async def test_a_lanes_deliveries_come_one_after_the_other(backend: Backend) -> None:
    async with backend.open() as store:
        await asyncio.gather(*(accept(store, numbered(number)) for number in range(5)))
        seen = []
        for _ in range(5):
            [delivery] = await claim(store)
            assert await claim(store) == []
            seen.append(delivery.signal.id)
            assert await finish(store, [delivery]) == 1
        assert seen == [1, 2, 3, 4, 5]
        assert await claim(store) == []


async def test_lanes_run_side_by_side(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(6):
            await accept(store, numbered(number, order=str(number % 3)))
        assert ids(await claim(store)) == [1, 2, 3]


async def test_without_a_lane_all_are_due_at_once(backend: Backend) -> None:
    async with backend.open() as store:
        await asyncio.gather(*(accept(store, numbered(number), lane=False) for number in range(5)))
        assert ids(await claim(store, limit=3)) == [1, 2, 3]
        assert ids(await claim(store, limit=3)) == [4, 5]


async def test_routes_and_accounts_have_lanes_of_their_own(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1), ("erp", "export"))
        await accept(store, numbered(2, account="printery"))
        assert ids(await claim(store)) == [1]
        assert [d.route for d in await claim(store, routes=("erp", "export"))] == ["export"]
        assert ids(await claim(store, account="printery")) == [2]
        assert await claim(store, account="unheard") == []


async def test_a_claim_keeps_to_each_limit(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(4):
            await accept(store, numbered(number), ("erp", "export"), lane=False)
        wants = [ClaimRequest(ACCOUNT, "export", 1), ClaimRequest(ACCOUNT, "erp", 3), ClaimRequest(ACCOUNT, "none", 5)]
        claimed = await store.claim(wants, NOW, NOW + LEASE)
        assert [(d.route, d.signal.id) for d in claimed.deliveries] == [
            ("export", 1),
            ("erp", 1),
            ("erp", 2),
            ("erp", 3),
        ]
        assert claimed.next_due == {ROUTE: NOW, (ACCOUNT, "export"): NOW}
        for limit in (0, -1):
            assert await claim(store, limit=limit) == []


async def test_the_oldest_due_comes_first(backend: Backend) -> None:
    async with backend.open() as store:
        for number, minutes in enumerate((3, 1, 2, 1)):
            received = numbered(0).received_at.replace(minute=minutes)
            await accept(store, dataclasses.replace(numbered(number), received_at=received), lane=False)
        assert ids(await claim(store, NOW + 3600)) == [2, 4, 3, 1]


async def test_a_claimed_delivery_is_complete(backend: Backend) -> None:
    signal = numbered(1)
    async with backend.open() as store:
        await accept(store, signal)
        [delivery] = await claim(store)
        assert delivery.signal == dataclasses.replace(signal, id=1)
        assert (delivery.route, delivery.attempt, delivery.created_at) == ("erp", 1, NOW)
        [row] = await store.list_deliveries(Filter(), 10)
        assert (row.state, row.leased_until, row.due_at, row.attempts) == ("pending", NOW + LEASE, NOW, 0)


async def test_claimed_deliveries_that_can_not_be_read_are_given_back(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        [(payload,)] = backend.execute("SELECT payload FROM signals")
        backend.execute("UPDATE signals SET payload = '{'")
        with pytest.raises(StoreError, match="could not be read"):
            await claim(store)
        backend.execute(f"UPDATE signals SET payload = '{payload}'")
        assert ids(await claim(store)) == [1]


async def test_a_delivery_whose_signal_is_gone_keeps_no_other_back(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(3):
            await accept(store, numbered(number), lane=False)
        backend.execute("DELETE FROM signals WHERE id = 2")
        assert ids(await claim(store)) == [1, 3]


INDEXES = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE tbl_name = 'deliveries' AND type = 'index' AND sql IS NOT NULL",
    "postgresql": "SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%%deliver%%' AND schemaname = current_schema()",
}


async def test_a_lease_is_in_no_index(backend: Backend) -> None:
    """Claims and renewals move no index entry, and PostgreSQL updates the row in place."""
    async with backend.open():
        indexes = [text for (text,) in backend.execute(INDEXES[backend.url.partition(":")[0]])]
    assert any("due_at" in text for text in indexes)
    assert [text for text in indexes if "lease" in text] == []


async def test_a_lease_that_runs_out_is_due_again_and_its_result_too_late(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        [lost] = await claim(store)
        assert await claim(store, NOW + LEASE - 0.001) == []
        [taken] = await claim(store, NOW + LEASE)
        assert taken.signal.id == lost.signal.id
        assert await finish(store, [lost], Dead("late")) == 0
        assert await store.read_attempts(1) == {}
        assert await states(store) == {(1, "erp"): "pending"}
        assert await finish(store, [taken]) == 1
        assert await finish(store, [taken], Dead("again")) == 0
        assert await states(store) == {(1, "erp"): "delivered"}


async def test_a_late_result_counts_while_nobody_else_has_claimed(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        assert await finish(store, await claim(store), now=NOW + 10 * LEASE) == 1


async def test_of_two_results_the_lease_owners_and_the_first_counts(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        [stale] = await claim(store)
        [held] = await claim(store, NOW + LEASE)
        answers = await asyncio.gather(
            finish(store, [stale], Dead("stale")), finish(store, [held, held]), finish(store, [held], Dead("second"))
        )
        assert answers == [0, 1, 0]
        assert await states(store) == {(1, "erp"): "delivered"}


async def test_a_head_that_is_retried_keeps_its_followers_waiting(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(2):
            await accept(store, numbered(number))
        await finish(store, await claim(store), RetryAt(NOW + 1000, "down"))
        assert await claim(store, NOW + 999.999) == []
        assert await store.read_next_due([ROUTE, (ACCOUNT, "none")]) == {ROUTE: NOW + 1000}
        [again] = await claim(store, NOW + 1000)
        assert (again.signal.id, again.attempt) == (1, 2)
        await finish(store, [again])
        assert ids(await claim(store, NOW + 1000)) == [2]


@pytest.mark.parametrize("decision", [Dead("no such order"), Done("filtered", "nothing to do"), DELIVERED])
async def test_the_end_of_a_head_promotes_the_next(backend: Backend, decision: Decision) -> None:
    async with backend.open() as store:
        for number in range(2):
            await accept(store, numbered(number))
        await finish(store, await claim(store), decision, NOW + 5)
        ended = (await store.list_deliveries(Filter(ids=[1]), 1))[0]
        assert ended.state == getattr(decision, "state", "dead")
        assert (ended.reason, ended.ended_at, ended.due_at) == (decision.reason, NOW + 5, None)
        assert (ended.attempts, ended.leased_until) == (1, None)
        assert ids(await claim(store)) == [2]


async def test_a_retry_that_does_not_count_leaves_the_number(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        await finish(store, await claim(store), RetryAt(NOW, "misconfigured", counted=False))
        [again] = await claim(store)
        assert again.attempt == 1


async def test_failed_attempts_are_listed_by_route_in_order(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1), ("erp", "export"))
        for number in range(3):
            await finish(store, await claim(store, NOW + number), RetryAt(NOW + number, f"try {number}"), NOW + number)
        [export] = await claim(store, routes=("export",))
        odd = Attempt(1, NOW + 0.000001, 12.5, Kind.PERMANENT, "lone \ud800 and \x00 nul")
        await store.record([Result(export, Dead(odd.reason), odd, NOW)], {})
        attempts = await store.read_attempts(1)
        assert [(a.number, a.started_at, a.kind, a.reason) for a in attempts["erp"]] == [
            (number + 1, NOW + number, Kind.RETRY, f"try {number}") for number in range(3)
        ]
        assert attempts["export"] == [dataclasses.replace(odd, reason="lone ? and  nul")]
        assert await store.read_attempts(2) == {}


async def test_a_sinks_state_is_committed_with_the_results(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(2):
            await accept(store, numbered(number), lane=False)
        first, second = await claim(store)
        await asyncio.gather(
            finish(store, [first], state={ROUTE: {"position": 1, "file": {"name": "ä.csv"}}}),
            finish(store, [second], state={ROUTE: {"position": 2, "none": None}}),
        )
        assert await store.read_sink_state(*ROUTE) == {"position": 2, "file": {"name": "ä.csv"}, "none": None}
        assert await store.read_sink_state(ACCOUNT, "export") == {}
        assert await store.record([], {ROUTE: {"position": 3}}) == 0
    async with backend.open() as store:
        assert (await store.read_sink_state(*ROUTE))["position"] == 3


async def test_a_state_that_is_no_json_is_the_callers_error(backend: Backend) -> None:
    async with backend.open() as store:
        await accept(store, numbered(1))
        deliveries = await claim(store)
        with pytest.raises(TypeError):
            await finish(store, deliveries, state={ROUTE: {"position": object()}})
        assert await states(store) == {(1, "erp"): "pending"}


async def test_a_lease_lasts_longer_if_its_owner_renews_it(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(2):
            await accept(store, numbered(number, order=str(number)))
        first, second = await claim(store)
        await finish(store, [second])
        assert await store.renew([first, second], NOW + 3 * LEASE) == 1
        assert await claim(store, NOW + 2 * LEASE) == []
        assert ids(await claim(store, NOW + 3 * LEASE)) == [first.signal.id]
        assert await store.renew([first], NOW + 9 * LEASE) == 0
        assert await store.renew([], NOW) == 0


async def test_leases_of_an_earlier_process_are_released(backend: Backend) -> None:
    async with backend.open() as store:
        for number in range(3):
            await accept(store, numbered(number, order=str(number)))
        lost = await claim(store, limit=2)
        assert await store.release_leases(NOW + 1) == 2
        assert await store.release_leases(NOW + 1) == 0
        assert await finish(store, lost) == 0
        assert sorted(ids(await claim(store, NOW + 1))) == [1, 2, 3]


async def test_claims_find_signals_accepted_in_their_transaction(backend: Backend) -> None:
    async with backend.open() as store:
        claimed, *_ = await asyncio.gather(claim(store), *(accept(store, numbered(n), lane=False) for n in range(3)))
        assert len(claimed) + len(await claim(store)) == 3


async def test_many_results_at_once(backend: Backend) -> None:
    async with backend.open() as store:
        await asyncio.gather(*(accept(store, numbered(n, order=str(n % 20))) for n in range(60)))
        done: list[int] = []
        while claimed := await claim(store):
            assert len(claimed) == 20
            half = [result_of(d, DELIVERED) for d in claimed]
            assert await asyncio.gather(store.record(half[:7], {}), store.record(half[7:], {})) == [7, 13]
            done += ids(claimed)
        assert sorted(done) == list(range(1, 61))
        assert all(done.index(n) < done.index(n + 20) for n in range(1, 41))


async def test_a_route_is_owned_by_one_gateway_until_its_time_runs_out_or_it_is_released(backend: Backend) -> None:
    other = (ACCOUNT, "export")
    async with backend.open() as store:
        assert await store.own_routes([ROUTE], "one", NOW, NOW + 30) == {ROUTE}
        assert await store.own_routes([ROUTE, other], "two", NOW, NOW + 30) == {other}
        assert await store.own_routes([ROUTE], "one", NOW + 20, NOW + 50) == {ROUTE}
        assert await store.own_routes([ROUTE], "two", NOW + 49, NOW + 80) == set()
        assert await store.own_routes([ROUTE], "two", NOW + 50, NOW + 80) == {ROUTE}
        assert await store.own_routes([ROUTE], "two", NOW + 51, NOW + 51) == {ROUTE}
        assert await store.own_routes([ROUTE, other], "one", NOW + 51, NOW + 90) == {ROUTE, other}
        assert await store.own_routes([], "one", NOW, NOW) == set()
