"""Part of the store's contract: replays that run as jobs. gateway.store.contract has the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.store.values import Filter, ReplayJob


class ReplayJobs(Protocol):
    """Replays that a gateway runs in the background, over restarts, while somebody follows their progress.

    A page of a job and its progress are one transaction: no crash makes a job replay a delivery twice.
    """

    async def begin_replay(self, which: Filter, dry_run: bool, scope: str, now: float) -> ReplayJob:
        """Begin a job over the signals that there are now. `scope` is that of the role that asks.

        A dry run counts deliveries, and changes none.
        """
        ...

    async def take_replay(self, owner: str, now: float, until: float) -> ReplayJob | None:
        """Take the oldest running job that no other gateway has in hand, until a time; None if there is none.

        A gateway works on one job at a time, so a job that it had before is free too.
        """
        ...

    async def advance_replay(self, job: ReplayJob, owner: str, now: float, until: float) -> ReplayJob | None:
        """Replay or count the next page of a job, and keep it until a time.

        Return the job as it is then; None if it was cancelled, or another gateway has taken it. The last page records
        the action under the name of the actor who began the job.
        """
        ...

    async def end_replay(self, job: int, state: str, reason: str, now: float) -> bool:
        """End a running job as "cancelled" or "failed", and record the action; return False if it was not running.

        Its pages so far stay replayed.
        """
        ...

    async def list_replays(self, which: Filter, scopes: Sequence[str] | None, limit: int) -> Sequence[ReplayJob]:
        """Return jobs, newest first. Of the filter, `after` and `upto` count, which are ids of jobs.

        With `scopes`, only jobs that these roles began.
        """
        ...
