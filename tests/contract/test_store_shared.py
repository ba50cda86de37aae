"""The contract on a PostgreSQL that many gateways share: one head a lane, order by id, leases, notifications."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from gateway.model import Dead, Delivery
from gateway.store.contract import Store
from gateway.store.values import Filter
from tests.contract.store_case import LEASE, NOW, Backend, accept, claim, finish, ids, numbered, replay_all, states
from tests.support.factory import ACCOUNT
from tests.support.postgres import Server

pytestmark = pytest.mark.gen_test

GATEWAYS = 6
ORDERS = 4
HEADS = """
SELECT lane, count(*) FILTER (WHERE due_at IS NOT NULL) FROM deliveries
WHERE state = 'pending' AND held = 0 GROUP BY route, lane
"""


@pytest.fixture
def shared(postgres_url: str) -> Backend:
    return Backend(postgres_url)


async def test_each_lane_has_one_head_with_several_gateways(shared: Backend, postgres: Server) -> None:
    """Gateways accept into the same few lanes, claim and record, all at once. In the end no lane is without a head, and
    each lane's deliveries came out in the order of their ids, one at a time."""
    delivered: dict[str, list[int]] = defaultdict(list)
    running: set[str] = set()

    async def take_in(store: Store, gateway: int) -> None:
        rng = random.Random(gateway)
        for number in range(40):
            order = str(rng.randrange(ORDERS))
            await accept(store, numbered(gateway * 1000 + number, order=order), ("erp", "export"))

    async def bring_out(store: Store, gateway: int, most: int) -> None:
        rng = random.Random(gateway)
        for _ in range(most):
            claimed = await claim(store, limit=rng.randint(1, 3))
            lanes = {delivery.signal.order for delivery in claimed}
            assert not lanes & running
            running.update(lanes)
            for delivery in claimed:
                delivered[delivery.signal.order].append(delivery.signal.id)
                running.remove(delivery.signal.order)
                assert await finish(store, [delivery]) == 1

    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(shared.open()) for _ in range(GATEWAYS)]
        work = [take_in(store, n) for n, store in enumerate(stores)]
        await asyncio.gather(*work, *(bring_out(store, n, 30) for n, store in enumerate(stores)))
        assert {heads for _, heads in postgres.execute_at(shared.url, HEADS)} == {1}
        while await stores[0].list_deliveries(Filter(route="erp", state="pending"), 1):
            await asyncio.gather(*(bring_out(store, n, 1) for n, store in enumerate(stores)))
    assert sum(map(len, delivered.values())) == GATEWAYS * 40
    for lane in delivered.values():
        assert lane == sorted(set(lane))


async def test_two_first_signals_of_a_lane_make_one_head_and_equal_ones_one_signal(
    shared: Backend, postgres: Server
) -> None:
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(shared.open()) for _ in range(GATEWAYS)]
        for order in map(str, range(15)):
            calls = [accept(store, numbered(n // 2, order=order)) for n, store in enumerate(stores)]
            answers = await asyncio.gather(*calls)
            assert sum(not answer.duplicate for answer in answers) == GATEWAYS // 2
        assert {heads for _, heads in postgres.execute_at(shared.url, HEADS)} == {1}
        assert len(await stores[0].list_signals(Filter(), 1000)) == 15 * GATEWAYS // 2


async def test_held_and_replayed_deliveries_get_heads_too(shared: Backend, postgres: Server) -> None:
    async with AsyncExitStack() as stack:
        one, two, three = [await stack.enter_async_context(shared.open()) for _ in range(3)]
        for number in range(10):
            await accept(one, numbered(number, order=str(number)))
        await finish(one, await claim(one), Dead("gone"))
        await asyncio.gather(
            replay_all(one, Filter(state="dead"), NOW),
            *(accept(two, numbered(100 + n, order=str(n)), hold=True) for n in range(10)),
            *(three.add_known_orders(ACCOUNT, [str(n)], NOW) for n in range(10)),
            *(accept(three, numbered(200 + n, order=str(n))) for n in range(10)),
        )
        assert {row.held for row in await one.list_deliveries(Filter(), 100)} == {False}
        assert {heads for _, heads in postgres.execute_at(shared.url, HEADS)} == {1}


async def test_a_claim_is_one_gateways_alone(shared: Backend) -> None:
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(shared.open()) for _ in range(GATEWAYS)]
        await asyncio.gather(*(accept(stores[0], numbered(n), lane=False) for n in range(120)))
        taken: list[int] = []
        while len(taken) < 120:
            claims: Sequence[Sequence[Delivery]] = await asyncio.gather(*(claim(store, limit=7) for store in stores))
            taken += [number for claimed in claims for number in ids(claimed)]
        assert sorted(taken) == list(range(1, 121))


async def test_only_the_owner_renews_a_lease(shared: Backend) -> None:
    async with shared.open() as one, shared.open() as two:
        await accept(one, numbered(1))
        held = await claim(one)
        assert await one.renew(held, NOW + 3 * LEASE) == 1
        assert await claim(two, NOW + 2 * LEASE) == []
        [taken] = await claim(two, NOW + 3 * LEASE)
        assert await one.renew(held, NOW + 9 * LEASE) == 0
        assert await finish(one, held, Dead("late")) == 0
        assert await finish(two, [taken]) == 1
        assert await states(two) == {(1, "erp"): "delivered"}


async def test_other_gateways_are_notified_of_a_commit(shared: Backend) -> None:
    heard: asyncio.Queue[Sequence[tuple[str, str]]] = asyncio.Queue()
    own: list[Sequence[tuple[str, str]]] = []
    async with shared.open() as one, shared.open() as two:
        one.on_notification(own.append)
        two.on_notification(heard.put_nowait)
        assert await heard.get() == ()  # it listens: what was before may have been missed
        await accept(one, numbered(1), ("erp", "export"))
        assert await heard.get() == [(ACCOUNT, "erp"), (ACCOUNT, "export")]
        await finish(one, await claim(one), Dead("gone"))
        await replay_all(one, Filter(state="dead"), NOW)
        assert await heard.get() == []
    assert set(map(tuple, own)) == {()}


@pytest.mark.parametrize("pooler", [False, True])
async def test_gateways_recover_from_broken_connections(shared: Backend, postgres: Server, pooler: bool) -> None:
    async with shared.open(pooler=pooler) as store:
        await accept(store, numbered(1))
        assert len(await states(store)) == 1
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'cloudsignal/%'"
        )
        assert len(await states(store)) == 1
        answers = await asyncio.gather(*(accept(store, numbered(n)) for n in range(2, 8)), return_exceptions=True)
        assert all(isinstance(answer, Exception) for answer in answers)  # and nothing is tried twice
        assert (await accept(store, numbered(2))).duplicate is False
