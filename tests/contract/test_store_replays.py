"""Replays that run as jobs: their pages, their owners, their end, and the actions that they leave."""

from __future__ import annotations

import pytest

from gateway.model import Dead
from gateway.store import Store
from gateway.store.reads import pages
from gateway.store.values import Actor, Filter, ReplayJob
from tests.contract.store_case import DELIVERED, NOW, Backend, accept, claim, finish, numbered, states
from tests.support.factory import ACCOUNT

pytestmark = pytest.mark.gen_test
ME, OTHER = "one gateway", "another gateway"
LATER = NOW + 30
ANN = Actor("ann", "192.0.2.1")


async def fill(store: Store, count: int = 3) -> None:
    """Store a delivered signal and dead ones, each of an order of its own."""
    for number in range(1, count + 1):
        await accept(store, numbered(number, order=str(number)))
        await finish(store, await claim(store), DELIVERED if number == 1 else Dead("no such order"))


async def run(store: Store, owner: str = ME) -> ReplayJob:
    job = await store.take_replay(owner, NOW, LATER)
    assert job is not None
    while job.state == "running":
        job = await store.advance_replay(job, owner, NOW, LATER)
        assert job is not None
    return job


async def test_a_job_replays_what_matches_and_records_who_asked(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SIGNALS_PER_REPLAY", 1)
    async with backend.open() as store:
        await fill(store)
        begun = await store.acting_as(ANN).begin_replay(Filter(state="dead"), False, "operator", NOW)
        assert (begun.state, begun.actor, begun.which) == ("running", ANN, Filter(state="dead"))
        assert (begun.began_with, begun.reached, begun.ends_with) == (1, 0, 3)
        done = await run(store)
        assert (done.state, done.reached, done.ended_at) == ("done", 3, NOW)
        assert done.found == {(ACCOUNT, "erp"): 2}
        assert sorted((await states(store)).values()) == ["delivered", "pending", "pending"]
        [action] = await store.list_actions(None, 9)
        assert (action.actor, action.origin, action.action) == ("ann", "192.0.2.1", "replay")
        assert action.detail == {"state": "dead", "replay": begun.id, "deliveries": 2}
        assert await store.take_replay(OTHER, LATER + 1, LATER + 2) is None


async def test_a_dry_run_changes_nothing(backend: Backend) -> None:
    async with backend.open() as store:
        await fill(store)
        await store.begin_replay(Filter(), True, "operator", NOW)
        assert (await run(store)).found == {(ACCOUNT, "erp"): 3}
        assert "pending" not in (await states(store)).values()
        assert await store.list_actions(None, 9) == []


async def test_a_job_over_nothing_is_done(backend: Backend) -> None:
    async with backend.open() as store:
        await store.begin_replay(Filter(), False, "operator", NOW)
        done = await run(store)
        assert (done.state, done.found) == ("done", {})


async def test_a_job_goes_on_after_a_restart(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SIGNALS_PER_REPLAY", 1)
    async with backend.open() as store:
        await fill(store)
        await store.begin_replay(Filter(), False, "operator", NOW)
        job = await store.take_replay(ME, NOW, LATER)
        assert job is not None
        job = await store.advance_replay(job, ME, NOW, LATER)
        assert job is not None
        assert job.reached == 1
        await accept(store, numbered(9, order="9"))  # too late for the job
    async with backend.open() as store:
        job = await store.take_replay(OTHER, LATER + 1, LATER + 60)
        assert job is not None
        assert (job.reached, job.found) == (1, {(ACCOUNT, "erp"): 1})
        while job.state == "running":
            job = await store.advance_replay(job, OTHER, LATER + 1, LATER + 60)
            assert job is not None
        assert job.found == {(ACCOUNT, "erp"): 3}


async def test_a_page_is_refused_once_another_gateway_has_the_job(backend: Backend) -> None:
    async with backend.open() as store:
        await fill(store)
        await store.begin_replay(Filter(), False, "operator", NOW)
        job = await store.take_replay(ME, NOW, LATER)
        assert job is not None
        if store.shared:
            assert await store.take_replay(OTHER, LATER - 1, LATER + 60) is None
        assert await store.take_replay(OTHER, LATER, LATER + 60) is not None
        assert await store.advance_replay(job, ME, LATER, LATER + 60) is None
        assert "pending" not in (await states(store)).values()


async def test_a_cancelled_job_does_no_more(backend: Backend) -> None:
    async with backend.open() as store:
        await fill(store)
        begun = await store.begin_replay(Filter(account=ACCOUNT), False, "tenant:acme", NOW)
        job = await store.take_replay(ME, NOW, LATER)
        assert job is not None
        assert await store.acting_as(ANN).end_replay(begun.id, "cancelled", "", NOW)
        assert not await store.end_replay(begun.id, "cancelled", "", NOW)
        assert await store.advance_replay(job, ME, NOW, LATER) is None
        assert await store.take_replay(OTHER, LATER + 1, LATER + 60) is None
        [ended] = await store.list_replays(Filter(), None, 9)
        assert (ended.state, ended.ended_at) == ("cancelled", NOW)
        [action] = await store.list_actions("cancel", 9)
        assert (action.actor, action.account) == ("ann", ACCOUNT)


async def test_jobs_are_listed_by_scope_newest_first(backend: Backend) -> None:
    async with backend.open() as store:
        made = [
            (await store.begin_replay(Filter(), True, scope, NOW)).id
            for scope in ("operator", "tenant:acme", "account:bookshop")
        ]
        assert [job.id for job in await store.list_replays(Filter(), None, 9)] == made[::-1]
        scopes = ["tenant:acme", "account:bookshop"]
        assert [job.id for job in await store.list_replays(Filter(), scopes, 9)] == made[:0:-1]
        assert [job.id for job in await store.list_replays(Filter(upto=made[1]), scopes, 1)] == [made[1]]
        assert await store.list_replays(Filter(), [], 9) == []


async def test_an_account_that_is_forgotten_leaves_no_job(backend: Backend) -> None:
    async with backend.open() as store:
        for account in (ACCOUNT, "other"):
            await store.begin_replay(Filter(account=account), True, "operator", NOW)
        assert (await store.forget(ACCOUNT, 10, NOW)).done
        assert [job.which.account for job in await store.list_replays(Filter(), None, 9)] == ["other"]


async def test_old_actions_and_ended_jobs_are_purged(backend: Backend) -> None:
    async with backend.open() as store:
        await store.begin_replay(Filter(), True, "operator", NOW - 100)
        await run(store)
        await store.begin_replay(Filter(), True, "operator", NOW - 100)
        for age in (100, 50, 0):
            await store.record_action("reload", {}, NOW - age)
        removed = []
        while number := await store.purge_actions(NOW - 10, 1):
            removed.append(number)
        assert sum(removed) == 3
        assert [action.at for action in await store.list_actions(None, 9)] == [NOW]
        assert [job.state for job in await store.list_replays(Filter(), None, 9)] == ["running"]
