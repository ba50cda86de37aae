"""Replays that run as jobs in a gateway: begin one, follow it, cancel it; and the runner that works on them."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from gateway.config import Access, Config
from gateway.errors import NotFound, StoreError
from gateway.operate.access import narrow, scope_of, scopes_seen
from gateway.operate.replay import plan_replay
from gateway.store.contract import Store
from gateway.store.contract_replays import ReplayJobs
from gateway.store.values import Filter, ReplayJob

__all__ = ["ReplayJob", "ReplayRunner", "begin_replay", "cancel_replay", "list_replays", "read_replay"]

log = structlog.get_logger()

LOOK_EVERY = 5.0
"""Seconds between two looks for jobs that another gateway began, or left behind."""
KEPT_FOR = 30.0
"""Seconds for which a page keeps a job from other gateways. A page takes milliseconds."""


async def begin_replay(
    store: Store, access: Access, config: Config, which: Filter, again: bool, dry_run: bool, now: float
) -> ReplayJob:
    """Begin a replay of the deliveries that match and that the role sees. `again` is that of `plan_replay`."""
    plan = await plan_replay(store, narrow(access, config, which), again)
    return await store.begin_replay(plan.which, dry_run, scope_of(access), now)


async def list_replays(
    store: ReplayJobs, access: Access, config: Config, which: Filter, limit: int
) -> Sequence[ReplayJob]:
    """Return the jobs that a role sees, newest first."""
    return await store.list_replays(which, scopes_seen(access, config), limit)


async def read_replay(store: ReplayJobs, access: Access, config: Config, job: int) -> ReplayJob:
    """Return a job. Raises NotFound if there is none, or none that the role sees."""
    found = await list_replays(store, access, config, Filter(after=job - 1, upto=job), 1)
    if not found:
        raise NotFound()
    return found[0]


async def cancel_replay(store: ReplayJobs, access: Access, config: Config, job: int, now: float) -> ReplayJob:
    """Cancel a job that runs; its pages so far stay replayed. Return it as it is then. Raises NotFound."""
    await read_replay(store, access, config, job)
    await store.end_replay(job, "cancelled", "", now)
    return await read_replay(store, access, config, job)


class ReplayRunner:
    """Works on jobs, one after the other, beside live traffic."""

    def __init__(self, store: ReplayJobs, now: Callable[[], float]) -> None:
        self._store = store
        self._owner = uuid.uuid4().hex  # of several gateways, each has its own
        self._now = now
        self._begun = asyncio.Event()

    def wake(self) -> None:
        """Look for a job now."""
        self._begun.set()

    async def run(self) -> None:
        """Work on one job after the other without end. An error ends a job's turn, never the gateway."""
        while True:
            self._begun.clear()
            try:
                while job := await self._store.take_replay(self._owner, self._now(), self._now() + KEPT_FOR):
                    await self._work_on(job)
            except StoreError as error:
                log.warning("replay.failed", reason=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._begun.wait(), LOOK_EVERY)

    async def _work_on(self, job: ReplayJob) -> None:
        try:
            done = await self._advance(job)
        except StoreError:
            raise  # the store may be back at the next look
        except Exception:  # of a bug: the job would fail at each look
            log.exception("replay.failed", replay=job.id)
            await self._store.end_replay(job.id, "failed", "the gateway's log tells more", self._now())
        else:
            log.info("replay.ended", replay=job.id, state=done.state, deliveries=sum(done.found.values()))

    async def _advance(self, job: ReplayJob) -> ReplayJob:
        """Work on a job until it is done, or is no longer this gateway's. Leave half of the time to live traffic."""
        clock = asyncio.get_running_loop().time
        while job.state == "running":
            began, now = clock(), self._now()
            advanced = await self._store.advance_replay(job, self._owner, now, now + KEPT_FOR)
            if advanced is None:
                return replace(job, state="cancelled")
            job = advanced
            await asyncio.sleep(clock() - began)
        return job
