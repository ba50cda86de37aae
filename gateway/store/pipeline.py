"""The hot steps as PostgreSQL has them: each sends all it has to say, and reads the answers once the transaction has
ended. So a batch is one round trip; what SQLite's form decides in between, the statements decide by themselves.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from peewee import Database

from gateway.store import claims, lanes, queries, sql, writes
from gateway.store.rows import UNKNOWN_TIME, clean, dumps, micros, signal_row
from gateway.store.sql import pipeline as statements
from gateway.store.sql import postgres
from gateway.store.values import Accepted, Result
from gateway.store.writer import Step

# -- custody


def accept_signals(db: Database, items: Sequence[writes.Accept]) -> Callable[[], list[Accepted]]:
    """Signals that are new, with their deliveries."""
    firsts: dict[tuple[str, str], writes.Accept] = {}
    for item in items:
        firsts.setdefault((item.signal.account, item.signal.identity), item)
    touched: dict[lanes.Lane, int] = {}
    rows = [accept_row(item, touched) for item in firsts.values()]
    mark_late(rows)
    written = sql.send(db, statements.ACCEPT, dumps(rows))
    if named := [lane for lane in touched if lane[2] is not None]:
        sql.send(db, statements.GIVE_WAY, dumps(named), max(row[8] for row in rows))

    def read() -> list[Accepted]:
        given = list(firsts)
        new = {given[place - 1]: Accepted(signal_id, False, held) for place, signal_id, held in written()}
        # Popped, so that of two equal signals in a batch the first is the one that was written.
        return [new.pop((item.signal.account, item.signal.identity), DUPLICATE) for item in items]

    return read


DUPLICATE = Accepted(0, True)


def accept_row(item: writes.Accept, touched: dict[lanes.Lane, int]) -> list[Any]:
    """See ACCEPT; not late until found to be. Each lane of the batch gets a number."""
    signal = item.signal
    targets = []
    for target in item.targets:
        lane = target.lane and clean(target.lane)
        number = touched.setdefault((signal.account, target.route, lane), len(touched))
        targets.append((target.route, lane, number))
    return [*signal_row(signal, len(item.targets), item.unrouted), False, item.hold, targets]


def mark_late(rows: Iterable[list[Any]]) -> None:
    """Mark those that a later one of their order stands before in the batch; the table does not have it yet."""
    latest: defaultdict[tuple[str, str], dict[str | None, int]] = defaultdict(dict)
    for row in rows:
        account, _, at, _, order, _, item, *_ = row
        times = latest[account, order]
        before = times.values() if item is None else (times.get(name, UNKNOWN_TIME) for name in (item, None))
        row[13] = any(time > at for time in before)
        times[item] = max(at, times.get(item, UNKNOWN_TIME))


# -- results


def record_results(db: Database, items: Sequence[lanes.Record]) -> Callable[[], list[int]]:
    """Results of those that hold the lease, what follows them in their lanes, and the sinks' state."""
    results = [result for item in items for result in item.results]
    places: dict[tuple[str, int, str, str], int] = {}  # of two results of one delivery the first counts
    for place, result in enumerate(results):
        signal = result.delivery.signal
        places.setdefault((signal.account, signal.id, result.delivery.route, result.delivery.lease), place)
    firsts = list(places.values())
    rows = [record_row(results[place]) for place in firsts]
    now = max((micros(result.ended_at) for result in results), default=0)
    taken = sql.send(db, statements.RECORD, dumps(rows), now)
    if changes := lanes.changes_of(items):
        sql.send(db, postgres.UPSERT_STATE, dumps(changes))
    return lambda: lanes.count_taken(items, {firsts[number - 1] for (number,) in taken()})


def record_row(result: Result) -> list[Any]:
    """See RECORD."""
    delivery, attempt = result.delivery, result.attempt
    signal_id, route, *outcome, account = lanes.result_row(result)
    tried = lanes.attempt_row(delivery, attempt)[3:] if attempt is not None else []
    return [account, signal_id, route, delivery.lease, *outcome, *tried]


# -- claims and leases


def lease_deliveries(db: Database, items: Sequence[claims.ClaimDue]) -> Callable[[], list[claims.Leases]]:
    """Heads of lanes that are due."""
    reads = [lease_some(db, item) for item in items]
    return lambda: [read() for read in reads]


def lease_some(db: Database, item: claims.ClaimDue) -> Callable[[], claims.Leases]:
    lease = uuid.uuid4().hex
    wants = [(want.account, want.route, want.limit, want.replays) for want in item.wants]
    times = (micros(item.now), micros(item.lease_until))
    leased = sql.send(db, statements.LEASE, dumps(wants), *times, lease)
    due = sql.send(db, postgres.NEXT_DUE, dumps([want[:2] for want in wants]))

    def read() -> claims.Leases:
        rows = leased()
        live, replays = (
            claims.sort_found(item.wants, [row for replayed, *row in rows if replayed == kind], kind) for kind in (0, 1)
        )
        full = claims.full_of_replays(item.wants, live, replays)
        return claims.Leases(lease, claims.in_turns(live, replays), queries.read_next_due(due(), full))

    return read


def renew_leases(db: Database, items: Sequence[lanes.Renew]) -> Callable[[], list[int]]:
    """Leases that are still their holders' last longer."""
    sent = [sql.send(db, postgres.RENEW_LEASES, micros(item.lease_until), dumps(item.held)) for item in items]
    return lambda: [len(rows()) for rows in sent]


FORMS: Mapping[Step, Step] = {
    writes.accept_signals: accept_signals,
    lanes.record_results: record_results,
    lanes.renew_leases: renew_leases,
    claims.lease_deliveries: lease_deliveries,
}
"""Steps, and what takes their place."""
