"""Leases on PostgreSQL: the steps `lease` and `renew`, and the reads that go with a claim."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Container, Iterable, Sequence

from peewee import Database

from gateway.model import Delivery, RouteKey
from gateway.store import statements
from gateway.store.operations import LOOK_BACK, ClaimDue, Renew
from gateway.store.rows import SIGNAL_COLUMNS, dumps, micros
from gateway.store.steps import claims
from gateway.store.steps.claims import Leases

# All requests at once: account, route, limit, and how many may be replays. SKIP LOCKED passes deliveries that another
# gateway is claiming or recording; those that stay due are for the next claim. Once a row is locked, its condition is
# checked again, so that a delivery claimed meanwhile is left out.
LEASE = """
WITH given AS (SELECT %s::jsonb AS requests, %s::bigint AS now, %s::bigint AS until, %s::text AS lease
), wanted AS MATERIALIZED (
    SELECT (place - 1)::integer AS place, w ->> 0 AS account, w ->> 1 AS route, greatest((w ->> 2)::bigint, 0) AS most,
           greatest(coalesce((w ->> 3)::bigint, (w ->> 2)::bigint), 0) AS replays
    FROM given CROSS JOIN jsonb_array_elements(given.requests) WITH ORDINALITY AS requests (w, place)
), live AS MATERIALIZED (
    SELECT wanted.place, d.*
    FROM given CROSS JOIN wanted CROSS JOIN LATERAL (
        SELECT account, signal_id, route FROM deliveries_pending
        WHERE account = wanted.account AND route = wanted.route AND replayed = 0 AND state = 'pending'
          AND due_at <= given.now AND (leased_until IS NULL OR leased_until <= given.now)
        ORDER BY due_at, signal_id LIMIT wanted.most FOR UPDATE SKIP LOCKED) d
), replays AS MATERIALIZED (
    SELECT wanted.place, d.*
    FROM given CROSS JOIN wanted CROSS JOIN LATERAL (
        SELECT account, signal_id, route FROM deliveries_pending
        WHERE account = wanted.account AND route = wanted.route AND replayed = 1 AND state = 'pending'
          AND due_at <= given.now AND (leased_until IS NULL OR leased_until <= given.now)
        ORDER BY due_at, signal_id
        LIMIT least(wanted.replays, wanted.most - (SELECT count(*) FROM live WHERE live.place = wanted.place))
        FOR UPDATE SKIP LOCKED) d
    WHERE EXISTS (SELECT 1 FROM deliveries_pending WHERE state = 'pending' AND replayed = 1)
), due AS (
    SELECT * FROM live UNION ALL SELECT * FROM replays
)
UPDATE deliveries_pending d SET leased_until = given.until, lease = given.lease
FROM given, due
WHERE d.account = due.account AND d.signal_id = ANY (ARRAY[due.signal_id]) AND d.route = due.route
RETURNING d.replayed, due.place, d.due_at, d.signal_id, d.attempts, d.created_at, d.received_at
"""

READ_LEASED = f"""
SELECT (place - 1)::integer, {", ".join(f"s.{name}" for name in SIGNAL_COLUMNS)},
       CASE WHEN s.order_id <> '' THEN greatest(
    coalesce((SELECT max(stage) FROM (
        SELECT id, stage FROM signals o
        WHERE o.order_id = s.order_id AND o.account = s.account AND o.item = s.item
        ORDER BY o.occurred_at DESC LIMIT {LOOK_BACK}) o WHERE id <= (r ->> 2)::bigint), 0),
    coalesce((SELECT max(stage) FROM (
        SELECT id, stage FROM signals o
        WHERE o.order_id = s.order_id AND o.account = s.account AND o.item IS NULL
        ORDER BY o.occurred_at DESC LIMIT {LOOK_BACK}) o WHERE id <= (r ->> 2)::bigint), 0),
    coalesce((SELECT max(stage) FROM (
        SELECT id, stage FROM signals o
        WHERE s.item IS NULL AND o.order_id = s.order_id AND o.account = s.account AND o.item IS NOT NULL
        LIMIT {LOOK_BACK}) o WHERE id <= (r ->> 2)::bigint), 0)) ELSE 0 END
FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS given (r, place)
CROSS JOIN LATERAL (
    SELECT * FROM signals
    WHERE account = r ->> 0 AND id = (r ->> 1)::bigint AND received_at = (r ->> 3)::bigint LIMIT 1) s
"""

# SKIP LOCKED: a row that another transaction has locked is being recorded, or its lease is lost. Waiting for it could
# be a deadlock.
RENEW_LEASES = """
UPDATE deliveries_pending d SET leased_until = taken.until
FROM (
    SELECT p.account, p.signal_id, p.route, given.until
    FROM (SELECT %s::bigint AS until, %s::jsonb AS rows) given CROSS JOIN jsonb_array_elements(given.rows) r
    JOIN deliveries_pending p
      ON p.account = r ->> 0 AND p.signal_id = ANY (ARRAY[(r ->> 1)::bigint]) AND p.route = r ->> 2
    WHERE p.lease = r ->> 3
    FOR UPDATE OF p SKIP LOCKED) taken
WHERE d.account = taken.account AND d.signal_id = ANY (ARRAY[taken.signal_id]) AND d.route = taken.route
RETURNING d.signal_id
"""

NEXT_DUE = """
WITH asked AS MATERIALIZED (
    SELECT r ->> 0 AS account, r ->> 1 AS route, kind AS replayed, (
        SELECT due_at FROM deliveries_pending d
        WHERE d.account = r ->> 0 AND d.route = r ->> 1 AND d.replayed = kind
          AND d.state = 'pending' AND d.due_at IS NOT NULL AND d.leased_until IS NULL
        ORDER BY d.due_at LIMIT 1) AS free
    FROM jsonb_array_elements(%s::jsonb) r CROSS JOIN (VALUES (0::smallint), (1::smallint)) kinds (kind))
SELECT account, route, replayed, free, (
    SELECT min(leased_until) FROM deliveries_pending d
    WHERE d.account = asked.account AND d.route = asked.route AND d.replayed = asked.replayed
      AND d.state = 'pending' AND d.due_at < coalesce(asked.free, 9223372036854775807))
FROM asked
"""


def lease_deliveries(db: Database, items: Sequence[ClaimDue]) -> Callable[[], list[Leases]]:
    """Lease heads of lanes that are due."""
    reads = [lease_some(db, item) for item in items]
    return lambda: [read() for read in reads]


def lease_some(db: Database, item: ClaimDue) -> Callable[[], Leases]:
    """Lease for one claim: live deliveries first, then replays as far as the requests leave room."""
    lease = uuid.uuid4().hex
    requests = [(request.account, request.route, request.limit, request.replays) for request in item.requests]
    times = (micros(item.now), micros(item.lease_until))
    leased = statements.send(db, LEASE, dumps(requests), *times, lease)
    due = statements.send(db, NEXT_DUE, dumps([request[:2] for request in requests]))

    def read() -> Leases:
        rows = leased()
        live, replays = (
            claims.sort_leased(item.requests, [row for replayed, *row in rows if replayed == kind], kind)
            for kind in (0, 1)
        )
        full = claims.find_full(item.requests, live, replays)
        return Leases(lease, claims.live_first(live, replays), claims.make_next_due(due(), full))

    return read


def renew_leases(db: Database, items: Sequence[Renew]) -> Callable[[], list[int]]:
    """Extend leases that still have their owner; return how many, for each item."""
    sent = [statements.send(db, RENEW_LEASES, micros(until), dumps(leases)) for leases, until in items]
    return lambda: [len(rows()) for rows in sent]


def read_leased(db: Database, leases: Leases) -> list[Delivery]:
    """Read the leased deliveries, each with its signal and the furthest stage of its order."""
    asked = claims.leased_keys(leases)
    return claims.make_deliveries(leases, statements.execute(db, READ_LEASED, dumps(asked)) if asked else [])


def read_next_due(db: Database, routes: Iterable[RouteKey], full: Container[RouteKey] = ()) -> dict[RouteKey, float]:
    """Return when each route can next be claimed from; of a route in `full`, only live deliveries count."""
    return claims.make_next_due(statements.execute(db, NEXT_DUE, dumps(list(routes))), full)
