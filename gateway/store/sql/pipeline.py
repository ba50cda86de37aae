"""Statements of PostgreSQL's that do a whole step at once; see gateway.store.pipeline.

All parts of a statement see what was there before it, and none sees what the others write: what comes with a batch is
told by the batch, and what must be seen stands in a statement of its own.
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
            SELECT 1 FROM orders known WHERE known.account = given.account AND known.ref IN (r ->> 4, r ->> 5)) AS held
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
           CASE WHEN NOT held AND (lane IS NULL OR (first AND NOT EXISTS (
               SELECT 1 FROM deliveries head
               WHERE head.account = targets.account AND head.route = targets.route AND head.lane = targets.lane
                 AND head.state = 'pending' AND head.due_at IS NOT NULL AND head.lane IS NOT NULL)))
           THEN at END,
           held::integer, 'pending', 0, ''
    FROM targets
)
SELECT place, id, held FROM drawn
"""

# As PROMOTE_HEADS, after DEMOTE_REPLAYS where any replay is pending; where none is, only if `anyway`. In one statement:
# the lanes that lose their head here are told, since what was there before has them with one.
PROMOTE = """
WITH given AS MATERIALIZED (
    SELECT r ->> 0 AS account, r ->> 1 AS route, r ->> 2 AS lane
    FROM jsonb_array_elements(%s::jsonb) r
    WHERE %s::boolean OR EXISTS (SELECT 1 FROM deliveries WHERE state = 'pending' AND replayed = 1)
), demoted AS (
    UPDATE deliveries d SET due_at = NULL
    FROM given
    WHERE EXISTS (SELECT 1 FROM deliveries WHERE state = 'pending' AND replayed = 1)
      AND d.account = given.account AND d.route = given.route AND d.lane = given.lane
      AND d.state = 'pending' AND d.replayed = 1 AND d.due_at IS NOT NULL AND d.lease IS NULL AND EXISTS (
        SELECT 1 FROM deliveries live
        WHERE live.account = given.account AND live.route = given.route AND live.lane = given.lane
          AND live.state = 'pending' AND live.due_at IS NULL AND live.held = 0 AND live.replayed = 0)
    RETURNING d.account, d.route, d.lane
)
UPDATE deliveries d SET due_at = least(d.created_at, %s::bigint)
FROM (
    SELECT account, route, (
        SELECT signal_id FROM deliveries w
        WHERE w.account = given.account AND w.route = given.route AND w.lane = given.lane
          AND w.state = 'pending' AND w.due_at IS NULL AND w.held = 0
        ORDER BY w.replayed, w.signal_id LIMIT 1) AS signal_id
    FROM given
    WHERE (account, route, lane) IN (SELECT account, route, lane FROM demoted) OR NOT EXISTS (
        SELECT 1 FROM deliveries head
        WHERE head.account = given.account AND head.route = given.route AND head.lane = given.lane
          AND head.state = 'pending' AND head.due_at IS NOT NULL AND head.lane IS NOT NULL)
) next
WHERE d.account = next.account AND d.signal_id = next.signal_id AND d.route = next.route AND d.state = 'pending'
"""
