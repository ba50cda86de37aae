"""On PostgreSQL a batch is one round trip: everything is sent, COMMIT included, before an answer is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.errors import StoreError
from gateway.model import Dead, Done, RetryAt
from gateway.store.contract import Store
from gateway.store.values import Filter
from tests.contract.store_case import NOW, Backend, accept, claim, finish, numbered, replay_all, result_of, states
from tests.support.factory import ACCOUNT
from tests.support.postgres import Server
from tests.support.proxy import behind_proxy

pytestmark = pytest.mark.gen_test

FULL = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON signals EXECUTE FUNCTION no_room();
"""
ROUTES = ("erp", "export", "slack")


@asynccontextmanager
async def counting(server: Server, pooler: bool) -> AsyncIterator[tuple[Store, Callable[[], int]]]:
    """Yield a store, and a function that counts the round trips of its writer, which connects first."""
    async with behind_proxy(server, pooler=pooler) as (store, proxy):
        yield store, lambda: proxy.turns[0]


@pytest.mark.parametrize("pooler", [False, True])
async def test_an_accept_is_one_round_trip(postgres: Server, pooler: bool) -> None:
    async with counting(postgres, pooler) as (store, trips):
        for number in range(10):  # beyond where the driver begins to prepare statements
            before = trips()
            assert not (await accept(store, numbered(number), ROUTES, hold=number % 2 > 0)).duplicate
            assert trips() - before == 1
        before = trips()
        assert (await accept(store, numbered(1), ROUTES)).duplicate
        assert trips() - before == 1


@pytest.mark.parametrize("pooler", [False, True])
async def test_results_and_promotions_are_one_round_trip(postgres: Server, pooler: bool) -> None:
    async with counting(postgres, pooler) as (store, trips):
        for number in range(20):
            await accept(store, numbered(number, order=str(number % 10)), ROUTES)
        for decision in (RetryAt(NOW, "busy"), Done("delivered"), Dead("gone")):
            taken = await claim(store, routes=ROUTES)
            results = [result_of(delivery, decision) for delivery in taken]
            before = trips()
            assert await store.record(results, {(ACCOUNT, "erp"): {"last": str(decision)}}) == len(taken) == 30
            assert trips() - before == 1
        assert await claim(store, routes=ROUTES) == []


@pytest.mark.parametrize("pooler", [False, True])
async def test_a_claim_is_one_round_trip_of_the_writer_and_so_is_a_heartbeat(postgres: Server, pooler: bool) -> None:
    async with counting(postgres, pooler) as (store, trips):
        for number in range(8):
            await accept(store, numbered(number), ROUTES, lane=False)
        await finish(store, await claim(store, limit=4), Dead("gone"))
        await replay_all(store, Filter(state="dead"), NOW)
        for replays in (1, 2, 1):
            before = trips()
            taken = await claim(store, limit=5, routes=ROUTES, replays=2)
            assert trips() - before == 1
            assert sum(delivery.replayed for delivery in taken) == replays
            before = trips()
            assert await store.renew(taken, NOW + 1) == len(taken)
            assert trips() - before == 1


async def test_a_bad_row_fails_alone_though_its_error_comes_last(postgres: Server, postgres_url: str) -> None:
    async with Backend(postgres_url).open() as store:
        postgres.execute_at(postgres_url, "ALTER TABLE signals ADD CHECK (item <> '7')")
        calls = [accept(store, numbered(number), ROUTES) for number in range(20)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [n for n, answer in enumerate(answers) if isinstance(answer, Exception)] == [7]
        assert str(answers[7]).startswith("the store could not write: CheckViolation: new row")
        assert len(await states(store)) == 19 * len(ROUTES)
        assert not (await accept(store, numbered(20), ROUTES)).duplicate


async def test_a_failure_of_the_server_is_not_retried(postgres: Server, postgres_url: str) -> None:
    async with Backend(postgres_url).open() as store:
        postgres.execute_at(postgres_url, FULL)
        calls = [accept(store, numbered(number), ROUTES) for number in range(20)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert {str(answer) for answer in answers} == {"the store could not write: DiskFull: no room"}
        postgres.execute_at(postgres_url, "DROP TRIGGER full_disk ON signals")
        assert not (await accept(store, numbered(1), ROUTES)).duplicate
        assert len(await states(store)) == len(ROUTES)


@pytest.mark.parametrize("uses", range(8))
async def test_a_statement_after_a_failure_is_not_taken_for_prepared(postgres_url: str, uses: int) -> None:
    """The driver prepares a statement at its sixth use."""
    async with Backend(postgres_url).open() as store:
        for number in (0, uses):
            for fine in range(number):
                await accept(store, numbered(fine), ROUTES)
            with pytest.raises(StoreError, match="UniqueViolation"):
                await accept(store, numbered(100), ("erp", "erp"))
        assert not (await accept(store, numbered(100), ROUTES)).duplicate
