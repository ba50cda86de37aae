"""The hot statements as PostgreSQL has them: `r ->> n` is the n-th field of a row.

They rely on the locks of gateway.store.order_locks, taken before them: no other transaction changes which delivery heads a
lane that these change. Rows that others may want too, for claims and results, are locked as they are read. Each names
the account of what it looks for, so that a database in parts, by account, asks one part only; and, as far as it can,
when the signal was received, so that other parts are left out. What is pending is named as the table that it is.

That table is mostly nearly empty, and then is not. A plan made before would read all of it for each row looked for, if
its key were compared by `=`, by which it can be read in order: `= ANY (ARRAY[...])` leaves only the look by the index.
"""

from __future__ import annotations

from gateway.store.rows import SIGNAL_COLUMNS
from gateway.store.sql.sqlite import LOOK_BACK

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

# Rows that another transaction holds are left: it may be one that waits for what this one holds. They are being
# recorded, or the lease is lost.
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

DEMOTE_REPLAYS = """
UPDATE deliveries_pending SET due_at = NULL
FROM jsonb_array_elements(%s::jsonb) r
WHERE account = ANY (ARRAY[r ->> 0]) AND route = r ->> 1 AND lane = r ->> 2
  AND state = 'pending' AND replayed = 1 AND due_at IS NOT NULL AND lease IS NULL AND EXISTS (
    SELECT 1 FROM deliveries_pending live
    WHERE live.account = r ->> 0 AND live.route = r ->> 1 AND live.lane = r ->> 2
      AND live.state = 'pending' AND live.due_at IS NULL AND live.held = 0 AND live.replayed = 0)
"""

PROMOTE_HEADS = """
UPDATE deliveries_pending d SET due_at = least(created_at, given.now)
FROM (SELECT %s::jsonb AS rows, %s::bigint AS now) given CROSS JOIN jsonb_array_elements(given.rows) r
CROSS JOIN LATERAL (
    SELECT w.account, w.signal_id, w.route FROM deliveries_pending w
    WHERE w.account = r ->> 0 AND w.route = r ->> 1 AND w.lane = r ->> 2 AND w.due_at IS NULL AND w.held = 0
    ORDER BY w.replayed, w.signal_id LIMIT 1) next
WHERE d.account = next.account AND d.signal_id = ANY (ARRAY[next.signal_id]) AND d.route = next.route AND (
    SELECT 1 FROM deliveries_pending head
    WHERE head.account = r ->> 0 AND head.route = r ->> 1 AND head.lane = r ->> 2
      AND head.due_at IS NOT NULL AND head.lane IS NOT NULL LIMIT 1) IS NULL
"""

UPSERT_STATE = """
INSERT INTO sink_state (account, route, key, value)
SELECT r ->> 0, r ->> 1, r ->> 2, r ->> 3 FROM jsonb_array_elements(%s::jsonb) r
ON CONFLICT (account, route, key) DO UPDATE SET value = excluded.value
"""

INSERT_KNOWN_ORDERS = """
INSERT INTO known_orders (account, ref) SELECT r ->> 0, r ->> 1 FROM jsonb_array_elements(%s::jsonb) r
ON CONFLICT DO NOTHING
"""

FREE_HELD = """
WITH given AS (SELECT %s::bigint AS now, %s::text AS account, %s::jsonb AS refs)
UPDATE deliveries_pending d SET held = 0, created_at = given.now, due_at = CASE WHEN lane IS NULL THEN given.now END
FROM given
WHERE held = 1 AND d.account = given.account AND signal_id IN (
    SELECT id FROM signals s, given g, jsonb_array_elements_text(g.refs) ref
    WHERE s.account = g.account AND s.order_id = ref
    UNION
    SELECT id FROM signals s, given g, jsonb_array_elements_text(g.refs) ref
    WHERE s.account = g.account AND s.order_reference = ref)
RETURNING d.account, route, lane
"""

RELEASE_LEASES = """
UPDATE deliveries_pending SET due_at = least(due_at, %s), lease = NULL, leased_until = NULL
WHERE state = 'pending' AND due_at IS NOT NULL AND lease IS NOT NULL
RETURNING signal_id
"""

RESET_DUE_TIMES = """
UPDATE deliveries_pending SET due_at = %s
WHERE state = 'pending' AND due_at > %s AND lease IS NULL
RETURNING signal_id
"""

BACKLOG = """
SELECT account, route, pending::bigint, due::bigint, (
    SELECT created_at FROM deliveries_pending d
    WHERE d.account = counted.account AND d.signal_id = first AND d.route = counted.route AND d.state = 'pending')
FROM (
    SELECT account, route, sum(pending) AS pending, sum(due) AS due, coalesce(min(live), min(any_)) AS first
    FROM (
        SELECT account, route, count(*) AS pending, count(*) AS due,
               min(CASE replayed WHEN 0 THEN signal_id END) AS live, min(signal_id) AS any_
        FROM deliveries_pending WHERE state = 'pending' AND due_at IS NOT NULL GROUP BY account, route
        UNION ALL
        SELECT account, route, count(*), 0, min(CASE replayed WHEN 0 THEN signal_id END), min(signal_id)
        FROM deliveries_pending WHERE state = 'pending' AND due_at IS NULL AND held = 0 GROUP BY account, route
        UNION ALL
        SELECT account, route, count(*), 0, min(signal_id), min(signal_id)
        FROM deliveries_pending WHERE state = 'pending' AND held = 1 GROUP BY account, route) parts
    GROUP BY account, route) counted
"""

UPSERT_ROUTE = """
INSERT INTO routes (account, route, failures, opened, probe_at, reason) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (account, route) DO UPDATE SET
    failures = excluded.failures, opened = excluded.opened, probe_at = excluded.probe_at, reason = excluded.reason
"""

UPSERT_PAUSE = """
INSERT INTO routes (account, route, paused_at, why) VALUES (%s, %s, %s, %s)
ON CONFLICT (account, route) DO UPDATE SET paused_at = excluded.paused_at, why = excluded.why
"""

OWN_ROUTES = """
INSERT INTO route_owners (account, route, owner, until, taken_at)
SELECT r ->> 0, r ->> 1, r ->> 2, (r ->> 3)::bigint, (r ->> 4)::bigint FROM jsonb_array_elements(%s::jsonb) r
ON CONFLICT (account, route) DO UPDATE SET
    owner = excluded.owner, until = excluded.until, taken_at = excluded.taken_at
WHERE route_owners.owner = excluded.owner OR route_owners.until <= excluded.taken_at
RETURNING account, route
"""

# A message in the log of writes that nobody reads: it is synced like any other, and fails on a server that only reads.
CHECK_WRITABLE = "SELECT pg_logical_emit_message(true, 'cloudsignal', '')"
