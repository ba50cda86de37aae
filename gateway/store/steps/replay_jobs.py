"""Replays that run as jobs: begun, taken by a gateway, advanced page by page, ended."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from peewee import Database

from gateway.model import RouteKey
from gateway.store.reads.filters import between
from gateway.store.reads.pages import IdRange, count_replayable, find_replayable, of_page
from gateway.store.rows import clean, dumps, micros, seconds
from gateway.store.statements import is_postgres
from gateway.store.steps.actions import record_action
from gateway.store.steps.known_orders import PromoteHeads
from gateway.store.steps.replay import Replay, replay_some
from gateway.store.tables import Replays
from gateway.store.values import Actor, Filter, ReplayJob


class BeginReplay(NamedTuple):
    """A job to begin: its filter, and the first and the last signal to look at."""

    which: Filter
    dry_run: bool
    scope: str
    actor: Actor
    first: int
    last: int
    now: float


class TakeReplay(NamedTuple):
    """A request of a gateway for a running job that no other gateway has in hand."""

    owner: str
    now: float
    until: float


class AdvanceReplay(NamedTuple):
    """A page of a job: the deliveries to replay, None for a dry run, and the signal that is reached with it.

    `found` counts the deliveries of a dry run.
    """

    job: int
    owner: str
    now: float
    until: float
    which: Filter | None
    found: Mapping[RouteKey, int]
    reached: int


class EndReplay(NamedTuple):
    """A running job to end before it is done."""

    job: int
    state: str
    reason: str
    actor: Actor
    now: float


def begin_replays(db: Database, items: Sequence[BeginReplay]) -> list[ReplayJob]:
    """Begin jobs; answer each with its job."""
    return [begin_one(db, item) for item in items]


def begin_one(db: Database, item: BeginReplay) -> ReplayJob:
    asked = {name: value for name, value in dataclasses.asdict(item.which).items() if value is not None}
    row = {
        "account": item.which.account,
        "scope": item.scope,
        "actor": clean(item.actor.name),
        "origin": item.actor.origin,
        "asked": dumps(asked),
        "dry_run": int(item.dry_run),
        "state": "running",
        "created_at": micros(item.now),
        "began_with": item.first,
        "reached": item.first - 1,
        "ends_with": max(item.last, item.first - 1),
        "found": "[]",
    }
    (made,) = Replays.insert({**row, "reason": ""}).returning(Replays).dicts().execute(db)
    return make_job(made)


def take_replays(db: Database, items: Sequence[TakeReplay]) -> list[ReplayJob | None]:
    """Give a job to each gateway that asks, the oldest first; None if there is none."""
    return [take_one(db, item) for item in items]


def take_one(db: Database, item: TakeReplay) -> ReplayJob | None:
    running = Replays.select(Replays.id).where(Replays.state == "running")
    if is_postgres(db):  # only one process serves from a file: another's ownership is of a run that has ended
        free = Replays.owner.is_null() | (Replays.owned_until <= micros(item.now)) | (Replays.owner == item.owner)
        running = running.where(free)
    oldest = running.order_by(Replays.id).limit(1)
    found = oldest.scalar(db)
    if found is None:
        return None
    query = Replays.update(owner=item.owner, owned_until=micros(item.until)).where(Replays.id == found)
    (row,) = query.returning(Replays).dicts().execute(db)
    return make_job(row)


def advance_replays(
    db: Database, items: Sequence[AdvanceReplay], promote_heads: PromoteHeads
) -> list[ReplayJob | None]:
    """Replay a page of each job and save its progress; None if it has ended, or another gateway has it."""
    return [advance_one(db, item, promote_heads) for item in items]


def advance_one(db: Database, item: AdvanceReplay, promote_heads: PromoteHeads) -> ReplayJob | None:
    row = find_running(db, item.job, Replays.owner == item.owner)
    if row is None:
        return None
    job = make_job(row)
    page = item.found if item.which is None else replay_some(db, Replay(item.which, item.now), promote_heads)
    found = Counter(job.found) + Counter(page)
    is_done = item.reached >= job.ends_with
    progress = {
        "reached": item.reached,
        "found": dumps([[*route, number] for route, number in sorted(found.items())]),
        "owned_until": micros(item.until),
        "state": "done" if is_done else "running",
        "ended_at": micros(item.now) if is_done else None,
    }
    Replays.update(progress).where(Replays.id == item.job).execute(db)
    if is_done and found and not job.dry_run:
        record_replay(db, job, found, item.now)
    return make_job(row | progress)


def find_running(db: Database, job: int, *terms: Any) -> dict[str, Any] | None:
    """Return a job's row, if it runs and matches."""
    rows = Replays.select().where(Replays.id == job, Replays.state == "running", *terms).dicts().execute(db)
    return next(iter(rows), None)


def record_replay(db: Database, job: ReplayJob, found: Mapping[RouteKey, int], now: float) -> None:
    """Record the action of a job under the name of its actor."""
    asked = {name: value for name, value in dataclasses.asdict(job.which).items() if value not in (None, False)}
    record_action(db, now, job.actor, "replay", {**asked, "replay": job.id, "deliveries": sum(found.values())})


def end_replays(db: Database, items: Sequence[EndReplay]) -> list[bool]:
    """End jobs; answer False for one that was not running."""
    return [end_one(db, item) for item in items]


def end_one(db: Database, item: EndReplay) -> bool:
    row = find_running(db, item.job)
    if row is None:
        return False
    ended = {"state": item.state, "reason": clean(item.reason), "ended_at": micros(item.now)}
    Replays.update(ended).where(Replays.id == item.job).execute(db)
    job = make_job(row)
    if job.found and not job.dry_run:
        record_replay(db, job, job.found, item.now)
    if item.state == "cancelled":
        detail = {"replay": job.id, "account": job.which.account}
        record_action(db, item.now, item.actor, "cancel", detail)
    return True


# -- reads, on a reader's thread


class FoundPage(NamedTuple):
    """A page of a job: the number of deliveries, the last signal of the page, the deliveries to replay if any."""

    found: Mapping[RouteKey, int]
    reached: int
    which: Filter | None


def find_page(db: Database, job: ReplayJob, left: IdRange) -> FoundPage:
    """Return the next page of a job. `left` are the signals that it has not reached."""
    if not left:
        return FoundPage({}, job.ends_with, None)
    if job.dry_run:
        return FoundPage(count_replayable(db, job.which, left.page()), left.page().last, None)
    ids, reached = find_replayable(db, job.which, left)
    return FoundPage({}, reached, of_page(job.which, ids) if ids else None)


def list_replays(db: Database, which: Filter, scopes: Sequence[str] | None, limit: int) -> list[ReplayJob]:
    """Return jobs, newest first: of these scopes, or of any."""
    terms = [*between(Replays.id, which)]
    if scopes is not None:
        terms.append(Replays.scope.in_(list(scopes)))
    query = Replays.select().where(*terms) if terms else Replays.select()
    return [make_job(row) for row in query.order_by(Replays.id.desc()).limit(limit).dicts().execute(db)]


def make_job(row: Mapping[str, Any]) -> ReplayJob:
    """Build a job from the table's columns."""
    return ReplayJob(
        id=row["id"],
        actor=Actor(row["actor"], row["origin"]),
        scope=row["scope"],
        which=Filter(**orjson.loads(row["asked"])),
        dry_run=bool(row["dry_run"]),
        state=row["state"],
        reason=row["reason"],
        created_at=row["created_at"] / 1e6,
        ended_at=seconds(row["ended_at"]),
        began_with=row["began_with"],
        reached=row["reached"],
        ends_with=row["ends_with"],
        found={(account, route): number for account, route, number in orjson.loads(row["found"])},
    )
