"""Statements of PostgreSQL's that do a whole step at once; see gateway.store.pipeline.

All parts of a statement see what was there before it, and none sees what the others write: what comes with a batch is
told by the batch, and what must be seen stands in a statement of its own.

Where EXISTS would stand outside of WHERE, a subquery with LIMIT does: of EXISTS the planner may make one look at all
that is pending instead of a seek for each row.
"""

from __future__ import annotations

from gateway.store.rows import UNKNOWN_TIME
from gateway.store.sql.sqlite import LOOK_BACK

# Fields: those of `signal_row`, whether it is late beside those before it in the batch, whether to hold it for an
# order that is not known, and its targets: route, lane, the lane's number in this batch. An id is drawn for what is new
# only, in the order of the batch. The look is what finds a retry, in all parts: each key is one of a part. Two gateways
# can't have the same signal at once: it would be of one order.
ACCEPT = f"""
WITH given AS (
    SELECT place, r, r ->> 0 AS account, (r ->> 2)::bigint AS occurred_at, r ->> 4 AS order_id, r ->> 6 AS item
    FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS given (r, place)
), fresh AS (
    SELECT given.*,
        order_id <> '' AND occurred_at <> {UNKNOWN_TIME} AND (
            (r ->> 13)::boolean
            OR EXISTS (
                SELECT 1 FROM signals o
                WHERE o.order_id = given.order_id AND o.account = given.account AND o.item = given.item
                  AND o.occurred_at > given.occurred_at)
            OR EXISTS (
                SELECT 1 FROM signals o
                WHERE o.order_id = given.order_id AND o.account = given.account AND o.item IS NULL
                  AND o.occurred_at > given.occurred_at)
            OR (given.item IS NULL AND EXISTS (SELECT 1 FROM (
                SELECT occurred_at FROM signals o
                WHERE o.order_id = given.order_id AND o.account = given.account AND o.item IS NOT NULL
                LIMIT {LOOK_BACK}) o WHERE o.occurred_at > given.occurred_at))) AS late,
        (r ->> 14)::boolean AND NOT EXISTS (
            SELECT 1 FROM known_orders k WHERE k.account = given.account AND k.ref IN (r ->> 4, r ->> 5)) AS held
    FROM given
    WHERE NOT EXISTS (
        SELECT 1 FROM signals s
        WHERE s.account = given.account AND s.occurred_at = given.occurred_at AND s.identity = r ->> 1)
    ORDER BY place
), drawn AS MATERIALIZED (
    SELECT nextval(ids) AS id, fresh.*
    FROM (SELECT pg_get_serial_sequence('signals', 'id')::regclass AS ids) sequence CROSS JOIN fresh
), written AS (
    INSERT INTO signals (id, account, identity, occurred_at, type, order_id, order_reference, item, item_reference,
                         received_at, payload, stage, deliveries, unrouted, late)
    SELECT id, account, r ->> 1, occurred_at, r ->> 3, order_id, r ->> 5, item, r ->> 7,
           (r ->> 8)::bigint, r ->> 9, (r ->> 10)::smallint, (r ->> 11)::integer, r ->> 12, late::integer
    FROM drawn
), targets AS (
    SELECT id, account, (r ->> 8)::bigint AS at, held, t ->> 0 AS route, t ->> 1 AS lane,
           row_number() OVER (PARTITION BY (t ->> 2)::integer, held ORDER BY id) = 1 AS first
    FROM drawn CROSS JOIN LATERAL jsonb_array_elements(r -> 15) t
), delivered AS (
    INSERT INTO deliveries (signal_id, route, account, lane, created_at, received_at, due_at, held, state, attempts,
                            reason)
    SELECT id, route, account, lane, at, at,
           CASE WHEN NOT held AND (lane IS NULL OR (first AND (
               SELECT 1 FROM deliveries_pending head
               WHERE head.account = targets.account AND head.route = targets.route AND head.lane = targets.lane
                 AND head.state = 'pending' AND head.due_at IS NOT NULL AND head.lane IS NOT NULL LIMIT 1) IS NULL))
           THEN at END,
           held::integer, 'pending', 0, ''
    FROM targets
)
SELECT place, id, held FROM drawn
"""

# Whether a live delivery waits in the lane of `d`.
LIVE_WAITS = """(
    SELECT 1 FROM deliveries_pending live
    WHERE live.account = d.account AND live.route = d.route AND live.lane = d.lane
      AND live.state = 'pending' AND live.due_at IS NULL AND live.held = 0 AND live.replayed = 0 LIMIT 1) = 1"""

# What follows in the lanes that `freed` says have no head any more. What a statement changes it does not see: that
# those are the ones that waited before it, the locks of their orders see to.
PROMOTE = """
UPDATE deliveries_pending d SET due_at = least(d.created_at, %s::bigint)
FROM freed CROSS JOIN LATERAL (
    SELECT w.account, w.signal_id, w.route FROM deliveries_pending w
    WHERE w.account = freed.account AND w.route = freed.route AND w.lane = freed.lane
      AND w.due_at IS NULL AND w.held = 0
    ORDER BY w.replayed, w.signal_id LIMIT 1) next
WHERE d.account = next.account AND d.signal_id = ANY (ARRAY[next.signal_id]) AND d.route = next.route
"""

# After an accept, where any replay is pending: one that heads a lane and is not being delivered gives way to the live
# ones that wait now.
GIVE_WAY = f"""
WITH freed AS (
    UPDATE deliveries_pending d SET due_at = NULL
    FROM jsonb_array_elements(%s::jsonb) r CROSS JOIN LATERAL (
        SELECT h.account, h.signal_id, h.route FROM deliveries_pending h
        WHERE h.account = r ->> 0 AND h.route = r ->> 1 AND h.lane = r ->> 2 AND h.due_at IS NOT NULL
          AND h.replayed = 1 AND h.lease IS NULL LIMIT 1) head
    WHERE EXISTS (SELECT 1 FROM deliveries_pending WHERE replayed = 1)
      AND d.account = head.account AND d.signal_id = ANY (ARRAY[head.signal_id]) AND d.route = head.route
      AND {LIVE_WAITS}
    RETURNING d.account, d.route, d.lane
)
{PROMOTE}
"""

# Fields: account, signal, route, lease, then what becomes of it: state, due_at, how many more attempts, ended_at,
# reason; then the attempt, if any: number, start, duration, kind, reason, when the signal was received. What is taken
# from the lease's holder is its lane's head; it ends, is tried again, or is a replay that live ones pass. What ends
# goes to another part of the table. An UPDATE would say so to claims that had seen it before, and they would fail; for
# them it is to be gone.
RECORD = f"""
WITH given AS MATERIALIZED (
    SELECT place, r FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS given (r, place)
), ended AS (
    DELETE FROM deliveries_pending d USING given
    WHERE d.account = r ->> 0 AND d.signal_id = ANY (ARRAY[(r ->> 1)::bigint]) AND d.route = r ->> 2
      AND d.state = 'pending' AND d.lease = r ->> 3 AND r ->> 4 <> 'pending'
    RETURNING place, r, d.*
), rested AS (
    INSERT INTO deliveries (account, signal_id, route, lane, created_at, received_at, held, replayed,
                            state, attempts, ended_at, reason)
    SELECT account, signal_id, route, lane, created_at, received_at, held, replayed,
           r ->> 4, attempts + (r ->> 6)::integer, (r ->> 7)::bigint, r ->> 8
    FROM ended
), delayed AS (
    UPDATE deliveries_pending d
    SET attempts = attempts + (r ->> 6)::integer, reason = r ->> 8, lease = NULL, leased_until = NULL,
        due_at = CASE WHEN d.replayed = 1 AND d.lane IS NOT NULL AND {LIVE_WAITS} THEN NULL ELSE (r ->> 5)::bigint END
    FROM given
    WHERE d.account = r ->> 0 AND d.signal_id = ANY (ARRAY[(r ->> 1)::bigint]) AND d.route = r ->> 2
      AND d.state = 'pending' AND d.lease = r ->> 3 AND r ->> 4 = 'pending'
    RETURNING place, r, d.account, d.route, d.lane, d.due_at
), recorded AS (
    SELECT place, r, account, route, lane, NULL AS due_at FROM ended
    UNION ALL
    SELECT place, r, account, route, lane, due_at FROM delayed
), tried AS (
    INSERT INTO attempts (account, signal_id, route, number, started_at, duration, kind, reason, received_at)
    SELECT r ->> 0, (r ->> 1)::bigint, r ->> 2, (r ->> 9)::integer, (r ->> 10)::bigint, (r ->> 11)::bigint, r ->> 12,
           r ->> 13, (r ->> 14)::bigint
    FROM recorded WHERE r ->> 9 IS NOT NULL
), freed AS (
    SELECT account, route, lane FROM recorded WHERE lane IS NOT NULL AND due_at IS NULL
), promoted AS ({PROMOTE})
SELECT place FROM recorded
"""

# All wants at once: account, route, limit, and how many of them may be replays. SKIP LOCKED passes what another gateway
# is about to claim or to end; what it leaves is due still, for the next claim. What another has claimed meanwhile is
# looked at again once it is locked, and is leased then.
LEASE = """
WITH given AS (SELECT %s::jsonb AS wants, %s::bigint AS now, %s::bigint AS until, %s::text AS lease
), wanted AS MATERIALIZED (
    SELECT (place - 1)::integer AS place, w ->> 0 AS account, w ->> 1 AS route, greatest((w ->> 2)::bigint, 0) AS most,
           greatest(coalesce((w ->> 3)::bigint, (w ->> 2)::bigint), 0) AS replays
    FROM given CROSS JOIN jsonb_array_elements(given.wants) WITH ORDINALITY AS wants (w, place)
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
