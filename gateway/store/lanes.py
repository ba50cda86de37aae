"""The writes that move deliveries through their lanes: results, leases and replays. Claims are in `claims`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from peewee import Case, Database

from gateway.model import Attempt, Dead, Delivery, Done, RetryAt, RouteKey
from gateway.store import id_ranges, sql
from gateway.store.rows import clean, dumps, micros, micros_of
from gateway.store.sql import sqlite
from gateway.store.tables import Deliveries
from gateway.store.values import Filter, Result

Lane = tuple[str, str, str | None]
"""Account, route and lane."""


class Record(NamedTuple):
    """`state` holds JSON texts."""

    results: Sequence[Result]
    state: Mapping[RouteKey, Mapping[str, str]]


class Replay(NamedTuple):
    which: Filter
    now: float


class ResetDueTimes(NamedTuple):
    now: float
    latest: float


class Renew(NamedTuple):
    """Leases, each as account, signal, route and lease."""

    held: Sequence[tuple[str, int, str, str]]
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
    for place, account, lane in sql.execute(db, sqlite.SELECT_HOLDERS, dumps(asked)):
        found.setdefault(asked[place], (place, (account, asked[place][1], lane)))
    return dict(found.values())


def update_results(db: Database, results: Sequence[Result]) -> None:
    if results:
        sql.execute(db, sqlite.UPDATE_RESULTS, dumps([result_row(result) for result in results]))


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
        sql.execute(db, sqlite.INSERT_ATTEMPTS, dumps(rows))


def attempt_row(delivery: Delivery, attempt: Attempt) -> list[Any]:
    """Account, signal, route, number, start, duration, kind, reason, when the signal was received."""
    signal = delivery.signal
    times = [micros(attempt.started_at), micros(attempt.duration)]
    why = [attempt.kind.value, clean(attempt.reason)]
    return [signal.account, signal.id, delivery.route, attempt.number, *times, *why, micros_of(signal.received_at)]


def update_state(db: Database, items: Sequence[Record]) -> None:
    if changes := changes_of(items):
        sql.run(db, sql.UPSERT_STATE, dumps(changes))


def changes_of(items: Sequence[Record]) -> list[tuple[str, str, str, str]]:
    """Account, route, key and value; the last value set wins."""
    changes = {
        (*route, key): text for item in items for route, keys in item.state.items() for key, text in keys.items()
    }
    return [(*key, text) for key, text in changes.items()]


def count_taken(items: Sequence[Record], taken: Container[int]) -> list[int]:
    """How many results of each item were taken."""
    counts, place = [], 0
    for item in items:
        end = place + len(item.results)
        counts.append(sum(number in taken for number in range(place, end)))
        place = end
    return counts


# -- leases


def renew_leases(db: Database, items: Sequence[Renew]) -> list[int]:
    """Leases that are still their holders' last longer."""
    return [renew_one(db, *item) for item in items]


def renew_one(db: Database, held: Sequence[tuple[str, int, str, str]], until: float) -> int:
    return len(sql.run(db, sql.RENEW_LEASES, micros(until), dumps(held)))


def release_leases(db: Database, items: Sequence[float]) -> list[int]:
    """What was leased is due again, at the times given at the latest."""
    return [len(sql.run(db, sql.RELEASE_LEASES, micros(now))) for now in items]


def reset_due_times(db: Database, items: Sequence[ResetDueTimes]) -> list[int]:
    """What waits for a time that only a wrong clock can have set, does not wait."""
    return [len(sql.run(db, sql.RESET_DUE_TIMES, micros(now), micros(latest))) for now, latest in items]


# -- replays


def replay_deliveries(db: Database, items: Sequence[Replay]) -> list[Counter[RouteKey]]:
    """Ended deliveries start anew; how many, by account and route."""
    return [replay_some(db, *item) for item in items]


def replay_some(db: Database, which: Filter, now: float) -> Counter[RouteKey]:
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
    query = Deliveries.update(anew).where(*id_ranges.replayable(which))
    lanes = list(query.returning(Deliveries.account, Deliveries.route, Deliveries.lane).tuples().execute(db))
    promote_heads(db, lanes, at)
    return Counter((account, route) for account, route, _ in lanes)
