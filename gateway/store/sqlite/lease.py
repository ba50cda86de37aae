"""Leases on SQLite: the steps `lease` and `renew`, and the reads that go with a claim."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Sequence

from peewee import Database

from gateway.model import Delivery, RouteKey
from gateway.store.operations import LOOK_BACK, ClaimDue, Renew
from gateway.store.rows import SIGNAL_COLUMNS, dumps, micros
from gateway.store.sqlite import lanes
from gateway.store.statements import execute
from gateway.store.steps import claims
from gateway.store.steps.claims import Leases, LeasesByRequest

# One range of an index, of live deliveries or of replays: deliveries that wait behind a head have no due_at and are not
# in the index. Passing the leased ones costs no more than a route has in flight, and no job looks for ended leases.
LEASE_DUE = """
UPDATE deliveries SET leased_until = ?6, lease = ?7
WHERE (signal_id, route) IN (
    SELECT signal_id, route FROM deliveries
    WHERE account = ?1 AND route = ?2 AND replayed = ?3 AND state = 'pending' AND due_at <= ?5
      AND (leased_until IS NULL OR leased_until <= ?5)
    ORDER BY due_at, signal_id LIMIT ?4)
RETURNING due_at, signal_id, attempts, created_at, received_at
"""

# Signals, each with its place in the array and the furthest stage of its order. Fields: account, id, the last id to
# look at, received_at. CROSS JOIN keeps the planner from starting with the signals.
READ_LEASED = f"""
SELECT r.key, {", ".join(f"s.{name}" for name in SIGNAL_COLUMNS)}, CASE WHEN s.order_id <> '' THEN max(
    coalesce((SELECT max(stage) FROM (
        SELECT id, stage FROM signals o
        WHERE o.order_id = s.order_id AND o.account = s.account AND o.item IS s.item
        ORDER BY o.occurred_at DESC LIMIT {LOOK_BACK}) WHERE id <= r.value ->> 2), 0),
    coalesce((SELECT max(stage) FROM (
        SELECT id, stage FROM signals o
        WHERE s.item IS NOT NULL AND o.order_id = s.order_id AND o.account = s.account AND o.item IS NULL
        ORDER BY o.occurred_at DESC LIMIT {LOOK_BACK}) WHERE id <= r.value ->> 2), 0),
    coalesce((SELECT max(stage) FROM (
        SELECT id, stage FROM signals o
        WHERE s.item IS NULL AND o.order_id = s.order_id AND o.account = s.account AND o.item IS NOT NULL
        LIMIT {LOOK_BACK}) WHERE id <= r.value ->> 2), 0)) ELSE 0 END
FROM json_each(?) r CROSS JOIN signals s ON s.id = r.value ->> 1
"""

# Fields: account, signal, route, lease.
RENEW_LEASES = """
UPDATE deliveries SET leased_until = ?1
FROM json_each(?2) r
WHERE signal_id = r.value ->> 1 AND deliveries.route = r.value ->> 2 AND state = 'pending' AND lease = r.value ->> 3
RETURNING signal_id
"""

# For the live deliveries and for the replays of each route: when the first that is not leased is due, and when the
# first lease ends of those due before it. Later leases can be left out: a leased delivery has been due, and so are then
# all before it.
NEXT_DUE = """
WITH asked AS MATERIALIZED (
    SELECT r.value ->> 0 AS account, r.value ->> 1 AS route, kind.value AS replayed, (
        SELECT due_at FROM deliveries d
        WHERE d.account = r.value ->> 0 AND d.route = r.value ->> 1 AND d.replayed = kind.value
          AND d.state = 'pending' AND d.due_at IS NOT NULL AND d.leased_until IS NULL
        ORDER BY d.due_at LIMIT 1) AS free
    FROM json_each(?) r CROSS JOIN json_each('[0, 1]') kind)
SELECT account, route, replayed, free, (
    SELECT min(leased_until) FROM deliveries d
    WHERE d.account = asked.account AND d.route = asked.route AND d.replayed = asked.replayed
      AND d.state = 'pending' AND d.due_at < coalesce(asked.free, 9223372036854775807))
FROM asked
"""


def lease_deliveries(db: Database, items: Sequence[ClaimDue]) -> list[Leases]:
    """Lease heads of lanes that are due."""
    return [lease_some(db, item) for item in items]


def lease_some(db: Database, item: ClaimDue) -> Leases:
    """Lease for one claim: live deliveries first, then replays as far as the requests leave room."""
    lease = uuid.uuid4().hex
    live = lease_due(db, item, [request.limit for request in item.requests], 0, lease)
    room = [claims.room_for_replays(request, len(live[place])) for place, request in enumerate(item.requests)]
    replays = lease_due(db, item, room, 1, lease) if lanes.has_replays(db) else [[] for _ in room]
    routes = [(request.account, request.route) for request in item.requests]
    full = claims.find_full(item.requests, live, replays)
    return Leases(lease, claims.live_first(live, replays), read_next_due(db, routes, full))


def lease_due(db: Database, item: ClaimDue, limits: Sequence[int], replayed: int, lease: str) -> LeasesByRequest:
    """Lease live deliveries (`replayed` 0) or replays (1), for each request up to its limit.

    SQLite has no LATERAL that would end each range at its limit, so each request is a statement.
    """
    times = (micros(item.now), micros(item.lease_until))
    rows = [
        (place, *row)
        for place, (request, limit) in enumerate(zip(item.requests, limits, strict=True))
        if limit > 0
        for row in execute(db, LEASE_DUE, request.account, request.route, replayed, limit, *times, lease)
    ]
    return claims.sort_leased(item.requests, rows, replayed)


def renew_leases(db: Database, items: Sequence[Renew]) -> list[int]:
    """Extend leases that still have their owner; return how many, for each item."""
    return [len(execute(db, RENEW_LEASES, micros(until), dumps(leases))) for leases, until in items]


def read_leased(db: Database, leases: Leases) -> list[Delivery]:
    """Read the leased deliveries, each with its signal and the furthest stage of its order."""
    asked = claims.leased_keys(leases)
    return claims.make_deliveries(leases, execute(db, READ_LEASED, dumps(asked)) if asked else [])


def read_next_due(db: Database, routes: Iterable[RouteKey], full: Container[RouteKey] = ()) -> dict[RouteKey, float]:
    """Return when each route can next be claimed from; of a route in `full`, only live deliveries count."""
    return claims.make_next_due(execute(db, NEXT_DUE, dumps(list(routes))), full)
