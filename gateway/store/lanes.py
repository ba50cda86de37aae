"""The writes that move deliveries through their lanes: claims, results, leases and replays."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from peewee import Case, Database

from gateway.model import TYPE_AT, Attempt, Dead, Delivery, Done, RetryAt
from gateway.store import queries, spans, sql
from gateway.store.contract import Claim, Filter, Result, Want
from gateway.store.rows import SIGNAL_COLUMNS, clean, dumps, make_signal, micros, micros_of
from gateway.store.tables import Deliveries

Route = tuple[str, str]
"""Account and route."""
Lane = tuple[str, str, str | None]
"""Account, route and lane."""
ClaimedRow = tuple[Any, ...]
"""The route, the signal's columns, attempts, created_at, replayed."""


class Record(NamedTuple):
    """`state` holds JSON texts."""

    results: Sequence[Result]
    state: Mapping[tuple[str, str], Mapping[str, str]]


class Replay(NamedTuple):
    which: Filter
    now: float


class PullDue(NamedTuple):
    now: float
    latest: float


class ClaimDue(NamedTuple):
    wants: Sequence[Want]
    now: float
    lease_until: float


class Renew(NamedTuple):
    deliveries: Sequence[Delivery]
    lease_until: float


# -- the order of a lane


def promote_heads(db: Database, lanes: Iterable[Lane], now: int) -> None:
    """Let the next of each lane pass, where the lane has no head or one that gives way."""
    touched = {lane for lane in lanes if lane[2] is not None}
    if not touched:
        return
    text = dumps(list(touched))
    if has_replays(db):
        sql.run(db, sql.DEMOTE_REPLAYS, text)
    sql.run(db, sql.PROMOTE_HEADS, text, now)


def has_replays(db: Database) -> bool:
    """Whether any replay is pending: one look at an index that mostly is empty."""
    return bool(sql.run(db, sql.HAS_REPLAYS)[0][0])


# -- results


def record_results(db: Database, items: Sequence[Record]) -> list[int]:
    """Results of those that hold the lease, and the sinks' state."""
    results = [result for item in items for result in item.results]
    holders = find_holders(db, results)
    taken = [results[place] for place in holders]
    update_results(db, taken)
    insert_attempts(db, taken)
    freed = (holders[place] for place in holders if gives_way(results[place]))
    promote_heads(db, freed, max((micros(result.ended_at) for result in taken), default=0))
    update_state(db, items)
    return count_taken(items, holders)


def gives_way(result: Result) -> bool:
    """Whether another may now be its lane's head: it has ended, or it is a replay, which live ones pass."""
    return result.delivery.replayed or not isinstance(result.decision, RetryAt)


def find_holders(db: Database, results: Sequence[Result]) -> dict[int, Lane]:
    """The places of the results that count, with their lanes. Of two results of one delivery the first counts."""
    if not results:
        return {}
    deliveries = [result.delivery for result in results]
    asked = [(d.signal.id, d.route, d.lease, d.signal.account) for d in deliveries]
    found: dict[tuple[int, str, str, str], tuple[int, Lane]] = {}
    for place, account, lane in sql.run(db, sql.SELECT_HOLDERS, dumps(asked)):
        found.setdefault(asked[place], (place, (account, asked[place][1], lane)))
    return dict(found.values())


def update_results(db: Database, results: Sequence[Result]) -> None:
    if results:
        sql.run(db, sql.UPDATE_RESULTS, dumps([result_row(result) for result in results]))


def result_row(result: Result) -> list[Any]:
    """Signal, route, state, due_at, how many more attempts, ended_at, reason, account."""
    key = [result.delivery.signal.id, result.delivery.route]
    account = result.delivery.signal.account
    match result.decision:
        case RetryAt(at, reason, counted):
            return [*key, "pending", micros(at), int(counted), None, clean(reason), account]
        case Done(state, reason):
            return [*key, state, None, 1, micros(result.ended_at), clean(reason), account]
        case Dead(reason):
            return [*key, "dead", None, 1, micros(result.ended_at), clean(reason), account]


def insert_attempts(db: Database, results: Sequence[Result]) -> None:
    rows = [attempt_row(result.delivery, result.attempt) for result in results if result.attempt is not None]
    if rows:
        sql.run(db, sql.INSERT_ATTEMPTS, dumps(rows))


def attempt_row(delivery: Delivery, attempt: Attempt) -> list[Any]:
    """Account, signal, route, number, start, duration, kind, reason, when the signal was received."""
    signal = delivery.signal
    times = [micros(attempt.started_at), micros(attempt.duration)]
    why = [attempt.kind.value, clean(attempt.reason)]
    return [signal.account, signal.id, delivery.route, attempt.number, *times, *why, micros_of(signal.received_at)]


def update_state(db: Database, items: Sequence[Record]) -> None:
    """The last value set wins."""
    changes = {
        (*route, key): text for item in items for route, keys in item.state.items() for key, text in keys.items()
    }
    if changes:
        sql.run(db, sql.UPSERT_STATE, dumps([(*key, text) for key, text in changes.items()]))


def count_taken(items: Sequence[Record], taken: Mapping[int, object]) -> list[int]:
    """How many results of each item were taken."""
    counts, place = [], 0
    for item in items:
        end = place + len(item.results)
        counts.append(sum(number in taken for number in range(place, end)))
        place = end
    return counts


# -- claims


def claim_deliveries(db: Database, items: Sequence[ClaimDue]) -> list[Claim]:
    """Heads of lanes that are due, leased."""
    return [claim_one(db, item) for item in items]


def claim_one(db: Database, item: ClaimDue) -> Claim:
    now = micros(item.now)
    live = select_due(db, [want.limit for want in item.wants], item, 0, now)
    room = [room_for_replays(want, len(live[place])) for place, want in enumerate(item.wants)]
    replays = select_due(db, room, item, 1, now) if has_replays(db) else [[] for _ in room]
    rows = [row for place in range(len(room)) for row in (*live[place], *replays[place])]
    lease = uuid.uuid4().hex
    lease_due(db, rows, item.lease_until, lease)
    routes = [(want.account, want.route) for want in item.wants]
    full = {route for route, most, taken in zip(routes, room, replays, strict=True) if len(taken) >= most}
    return Claim(make_deliveries(db, rows, lease), queries.next_due(db, routes, full))


def room_for_replays(want: Want, live: int) -> int:
    return min(want.limit - live, want.limit if want.replays is None else want.replays)


def select_due(db: Database, limits: Sequence[int], item: ClaimDue, replayed: int, now: int) -> list[list[ClaimedRow]]:
    """For each want, up to its limit."""
    found: list[list[ClaimedRow]] = [[] for _ in item.wants]
    pairs = enumerate(zip(item.wants, limits, strict=True))
    asked = [(place, want.account, want.route, limit) for place, (want, limit) in pairs if limit > 0]
    for place, *row in sql.select_due(db, asked, replayed, now) if asked else ():
        found[place].append(tuple(row))
    return found


def lease_due(db: Database, rows: Sequence[ClaimedRow], until: float, lease: str) -> None:
    if rows:
        keys = [(account, signal_id, route) for route, signal_id, account, *_ in rows]
        sql.run(db, sql.LEASE_DUE, micros(until), lease, dumps(keys))


def make_deliveries(db: Database, rows: Sequence[ClaimedRow], lease: str) -> list[Delivery]:
    """Each with how far its order has come, asked for all at once."""
    width = len(SIGNAL_COLUMNS)
    signals = [make_signal(row[1 : width + 1]) for row in rows]
    replayed = [bool(row[width + 3]) for row in rows]
    newest = [queries.NEWEST if again else signal.id for signal, again in zip(signals, replayed, strict=True)]
    asked = [(s.account, s.order, s.item, last) for s, last in zip(signals, newest, strict=True)]
    stages = dict(sql.run(db, sql.FURTHEST, dumps(asked))) if asked else {}
    return [
        Delivery(
            signal=signal,
            route=row[0],
            attempt=row[width + 1] + 1,
            created_at=row[width + 2] / 1e6,
            lease=lease,
            furthest=TYPE_AT.get(stages[place], "") if signal.order else "",
            replayed=again,
        )
        for place, (row, signal, again) in enumerate(zip(rows, signals, replayed, strict=True))
    ]


# -- leases


def renew_leases(db: Database, items: Sequence[Renew]) -> list[int]:
    """Leases that are still their holders' last longer."""
    return [renew_one(db, *item) for item in items]


def renew_one(db: Database, deliveries: Sequence[Delivery], until: float) -> int:
    held = [(d.signal.account, d.signal.id, d.route, d.lease) for d in deliveries]
    return len(sql.run(db, sql.RENEW_LEASES, micros(until), dumps(held)))


def release_leases(db: Database, items: Sequence[float]) -> list[int]:
    """What was leased is due again, at the times given at the latest."""
    return [len(sql.run(db, sql.RELEASE_LEASES, micros(now))) for now in items]


def pull_due(db: Database, items: Sequence[PullDue]) -> list[int]:
    """What waits for a time that only a wrong clock can have set, does not wait."""
    return [len(sql.run(db, sql.PULL_DUE, micros(now), micros(latest))) for now, latest in items]


# -- replays


def replay_deliveries(db: Database, items: Sequence[Replay]) -> list[Counter[Route]]:
    """Ended deliveries start anew; how many, by account and route."""
    return [replay_some(db, *item) for item in items]


def replay_some(db: Database, which: Filter, now: float) -> Counter[Route]:
    at = micros(now)
    anew = {
        "state": "pending",
        "due_at": Case(None, [(Deliveries.lane.is_null(), at)], None),
        "lease": None,
        "leased_until": None,
        "attempts": 0,
        "created_at": at,
        "ended_at": None,
        "reason": "",
        "replayed": 1,
    }
    query = Deliveries.update(anew).where(*spans.replayable(which))
    lanes = list(query.returning(Deliveries.account, Deliveries.route, Deliveries.lane).tuples().execute(db))
    promote_heads(db, lanes, at)
    return Counter((account, route) for account, route, _ in lanes)
