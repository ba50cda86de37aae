"""The hot statements as SQLite has them: `value ->> n` is the n-th field of a row, in the order of the column list.

The rows of an accept, which senders wait for, are bound to the statement one by one, at half the cost of reading them
from JSON: `{rows}` stands for their places.
"""

from __future__ import annotations

from gateway.store.rows import SIGNAL_COLUMNS, UNKNOWN_TIME

# A retry meets its first self in the unique key and is skipped, also within one batch; only new rows are returned.
INSERT_SIGNALS = """
INSERT INTO signals (account, identity, occurred_at, type, order_id, order_reference, item, item_reference,
                     received_at, payload, stage, deliveries, unrouted)
VALUES {rows}
ON CONFLICT (account, occurred_at, identity) DO NOTHING
RETURNING id, account, identity
"""

LOOK_BACK = 1000
"""Signals of one order that are looked at, at most, to tell where the order stands: a sender that has one order without
end must not slow the others."""

# Of the signals just written: which have a later one of their item, of their order as a whole or, having no item, of
# any item of their order, accepted before. Nearly always each is one seek that finds nothing.
MARK_LATE = f"""
UPDATE signals SET late = 1
WHERE id IN (SELECT value ->> 1 FROM json_each(?)) AND order_id <> '' AND occurred_at <> {UNKNOWN_TIME} AND (
    EXISTS (SELECT 1 FROM (
        SELECT id FROM signals o
        WHERE o.order_id = signals.order_id AND o.account = signals.account AND o.item IS signals.item
          AND o.occurred_at > signals.occurred_at LIMIT {LOOK_BACK}) WHERE id < signals.id)
    OR EXISTS (SELECT 1 FROM (
        SELECT id FROM signals o
        WHERE signals.item IS NOT NULL AND o.order_id = signals.order_id AND o.account = signals.account
          AND o.item IS NULL AND o.occurred_at > signals.occurred_at LIMIT {LOOK_BACK}) WHERE id < signals.id)
    OR EXISTS (SELECT 1 FROM (
        SELECT id, occurred_at FROM signals o
        WHERE signals.item IS NULL AND o.order_id = signals.order_id AND o.account = signals.account
          AND o.item IS NOT NULL LIMIT {LOOK_BACK}) later
        WHERE later.occurred_at > signals.occurred_at AND later.id < signals.id))
"""

# A delivery is due at once if it may be (column6: not held, and the first of its lane in this batch) and its lane has
# no head; else it waits. So an accept needs no second pass to find the heads.
INSERT_DELIVERIES = """
INSERT INTO deliveries (signal_id, route, account, lane, created_at, received_at, due_at, held, state, attempts, reason)
SELECT column1, column2, column3, column4, column5, column5,
       CASE WHEN column6 AND (column4 IS NULL OR NOT EXISTS (
           SELECT 1 FROM deliveries head
           WHERE head.account = column3 AND head.route = column2 AND head.lane = column4
             AND head.state = 'pending' AND head.due_at IS NOT NULL AND head.lane IS NOT NULL))
       THEN column5 END,
       column7, 'pending', 0, ''
FROM (VALUES {rows})
"""

FIND_KNOWN_ORDERS = """
SELECT known.account, known.ref FROM json_each(?) asked
CROSS JOIN known_orders known ON known.account = asked.value ->> 0 AND known.ref = asked.value ->> 1
"""

# One index range, of live ones or of replays: those that wait behind a head have no due_at and are not in the index. To
# pass what is leased costs no more than a route has in flight, and nothing has to look for leases that run out.
LEASE_DUE = """
UPDATE deliveries SET leased_until = ?6, lease = ?7
WHERE (signal_id, route) IN (
    SELECT signal_id, route FROM deliveries
    WHERE account = ?1 AND route = ?2 AND replayed = ?3 AND state = 'pending' AND due_at <= ?5
      AND (leased_until IS NULL OR leased_until <= ?5)
    ORDER BY due_at, signal_id LIMIT ?4)
RETURNING due_at, signal_id, attempts, created_at, received_at
"""

# Signals with the furthest stage of their orders, by their place in the array. Fields: account, id, the last id to look
# at, received_at. CROSS JOIN keeps the planner from starting with the signals.
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

# Of each route's live ones and of its replays: when the first that is not leased is due, and when the first lease ends
# of those before it. Leases behind it can be left out: what is leased has been due, and so is then what comes before.
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

# Which results come from the holder of the lease, by their place in the array. Asked before the update, since its
# RETURNING could not tell two results of one delivery apart.
SELECT_HOLDERS = """
SELECT r.key, d.account, d.lane
FROM json_each(?) r CROSS JOIN deliveries d ON d.signal_id = r.value ->> 0 AND d.route = r.value ->> 1
WHERE d.state = 'pending' AND d.lease = r.value ->> 2
"""

UPDATE_RESULTS = """
UPDATE deliveries
SET state = r.value ->> 2, due_at = r.value ->> 3, attempts = attempts + (r.value ->> 4), ended_at = r.value ->> 5,
    reason = r.value ->> 6, lease = NULL, leased_until = NULL
FROM json_each(?) r
WHERE deliveries.signal_id = r.value ->> 0 AND deliveries.route = r.value ->> 1
"""

INSERT_ATTEMPTS = """
INSERT INTO attempts (account, signal_id, route, number, started_at, duration, kind, reason, received_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8
FROM json_each(?)
"""

HAS_REPLAYS = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state = 'pending' AND replayed = 1)"

# A replay that is not being delivered stops being its lane's head where a live delivery waits: replays never hold up
# live traffic, not even while they are retried.
DEMOTE_REPLAYS = """
UPDATE deliveries SET due_at = NULL
FROM json_each(?) r
WHERE account = r.value ->> 0 AND route = r.value ->> 1 AND lane = r.value ->> 2
  AND state = 'pending' AND replayed = 1 AND due_at IS NOT NULL AND lease IS NULL AND EXISTS (
    SELECT 1 FROM deliveries live
    WHERE live.account = r.value ->> 0 AND live.route = r.value ->> 1 AND live.lane = r.value ->> 2
      AND live.state = 'pending' AND live.due_at IS NULL AND live.held = 0 AND live.replayed = 0)
"""

# The order of a lane is made here and in INSERT_DELIVERIES, nowhere else: in each lane given that has no head, the
# first accepted of those that wait becomes it, live ones before replays, due since it was made; at the latest now, as
# an earlier run's clock may have been ahead.
PROMOTE_HEADS = """
UPDATE deliveries SET due_at = min(created_at, ?2)
FROM (
    SELECT value ->> 1 AS route, (
        SELECT signal_id FROM deliveries
        WHERE account = value ->> 0 AND route = value ->> 1 AND lane = value ->> 2
          AND state = 'pending' AND due_at IS NULL AND held = 0
        ORDER BY replayed, signal_id LIMIT 1) AS signal_id
    FROM json_each(?1)
    WHERE NOT EXISTS (
        SELECT 1 FROM deliveries head
        WHERE head.account = value ->> 0 AND head.route = value ->> 1 AND head.lane = value ->> 2
          AND head.state = 'pending' AND head.due_at IS NOT NULL AND head.lane IS NOT NULL)
) next
WHERE deliveries.signal_id = next.signal_id AND deliveries.route = next.route
"""

UPSERT_STATE = """
INSERT INTO sink_state (account, route, key, value)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?) WHERE true
ON CONFLICT (account, route, key) DO UPDATE SET value = excluded.value
"""

INSERT_KNOWN_ORDERS = """
INSERT INTO known_orders (account, ref) SELECT value ->> 0, value ->> 1 FROM json_each(?) WHERE true
ON CONFLICT DO NOTHING
"""

# By the signals of the orders and not by what is held, which may be much. What was held is made now: it has not been
# retried, and the time to give it up starts here.
FREE_HELD = """
UPDATE deliveries SET held = 0, created_at = ?1, due_at = CASE WHEN lane IS NULL THEN ?1 END
WHERE held = 1 AND account = ?2 AND signal_id IN (
    SELECT id FROM signals WHERE order_id IN (SELECT value FROM json_each(?3))
    UNION
    SELECT id FROM signals WHERE order_reference IN (SELECT value FROM json_each(?3)))
RETURNING account, route, lane
"""

RELEASE_LEASES = """
UPDATE deliveries SET due_at = min(due_at, ?), lease = NULL, leased_until = NULL
WHERE state = 'pending' AND due_at IS NOT NULL AND lease IS NOT NULL
RETURNING signal_id
"""

# At a start, after the leases: the index alone tells.
RESET_DUE_TIMES = """
UPDATE deliveries SET due_at = ?1
WHERE state = 'pending' AND due_at > ?2 AND lease IS NULL
RETURNING signal_id
"""

# The three partial indexes that together hold what is pending, each in the order of its routes; then one row a route.
BACKLOG = """
SELECT account, route, pending, due, (
    SELECT created_at FROM deliveries d WHERE d.signal_id = first AND d.route = counted.route)
FROM (
    SELECT account, route, sum(pending) AS pending, sum(due) AS due, coalesce(min(live), min(any_)) AS first
    FROM (
        SELECT account, route, count(*) AS pending, count(*) AS due,
               min(CASE replayed WHEN 0 THEN signal_id END) AS live, min(signal_id) AS any_
        FROM deliveries INDEXED BY deliveries_due
        WHERE state = 'pending' AND due_at IS NOT NULL GROUP BY account, route
        UNION ALL
        SELECT account, route, count(*), 0, min(CASE replayed WHEN 0 THEN signal_id END), min(signal_id)
        FROM deliveries INDEXED BY deliveries_waiting
        WHERE state = 'pending' AND due_at IS NULL AND held = 0 GROUP BY account, route
        UNION ALL
        SELECT account, route, count(*), 0, min(signal_id), min(signal_id)
        FROM deliveries INDEXED BY deliveries_held
        WHERE state = 'pending' AND held = 1 GROUP BY account, route)
    GROUP BY account, route) counted
"""

UPSERT_ROUTE = """
INSERT INTO routes (account, route, failures, opened, probe_at, reason) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (account, route) DO UPDATE SET
    failures = excluded.failures, opened = excluded.opened, probe_at = excluded.probe_at, reason = excluded.reason
"""

UPSERT_PAUSE = """
INSERT INTO routes (account, route, paused_at, why) VALUES (?, ?, ?, ?)
ON CONFLICT (account, route) DO UPDATE SET paused_at = excluded.paused_at, why = excluded.why
"""

# Fields: account, route, holder, until, now. Another's is taken once its time has run out; so that the update can tell,
# it is compared with the new row's `taken_at`.
OWN_ROUTES = """
INSERT INTO route_owners (account, route, owner, until, taken_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?) WHERE true
ON CONFLICT (account, route) DO UPDATE SET
    owner = excluded.owner, until = excluded.until, taken_at = excluded.taken_at
WHERE route_owners.owner = excluded.owner OR route_owners.until <= excluded.taken_at
RETURNING account, route
"""

# Writes one page, with nothing new in it: user_version is ours to use, and not used.
CHECK_WRITABLE = "PRAGMA user_version = 0"
