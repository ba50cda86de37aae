"""Accepts signals on PostgreSQL: the step `accept`, with its statements.

The step sends all its statements and reads the answers after the transaction has ended, so that a batch is one round
trip. SQLite's form decides some things between its statements; here the statements decide them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from peewee import Database

from gateway.store import statements
from gateway.store.operations import LOOK_BACK, Accept, Lane
from gateway.store.postgres.lanes import LIVE_WAITS, PROMOTE
from gateway.store.rows import UNKNOWN_TIME, clean, dumps, signal_row
from gateway.store.values import Accepted

DUPLICATE = Accepted(0, True)

# Columns of a new signal, and their values. `r` is its row in the array, `->> n` the n-th field.
NEW_SIGNAL = {
    "id": "id",
    "account": "account",
    "identity": "r ->> 1",
    "occurred_at": "occurred_at",
    "type": "r ->> 3",
    "order_id": "order_id",
    "order_reference": "r ->> 5",
    "item": "item",
    "item_reference": "r ->> 7",
    "received_at": "(r ->> 8)::bigint",
    "payload": "r ->> 9",
    "stage": "(r ->> 10)::smallint",
    "deliveries": "(r ->> 11)::integer",
    "unrouted": "r ->> 12",
    "late": "late::integer",
}

# Columns of a new delivery, and their values; the others are UNSET_WHEN_NEW. It is the head of its lane, and due, if it
# is not held, is the first of its lane in this batch, and the lane has no head. Else it waits: of live deliveries it
# has the highest id, and is last in lanes.LANE_ORDER.
NEW_DELIVERY = {
    "signal_id": "id",
    "route": "route",
    "account": "account",
    "lane": "lane",
    "created_at": "at",
    "received_at": "at",
    "due_at": """CASE WHEN NOT held AND (lane IS NULL OR (first AND (
               SELECT 1 FROM deliveries_pending head
               WHERE head.account = targets.account AND head.route = targets.route AND head.lane = targets.lane
                 AND head.state = 'pending' AND head.due_at IS NOT NULL AND head.lane IS NOT NULL LIMIT 1) IS NULL))
           THEN at END""",
    "held": "held::integer",
    "state": "'pending'",
    "attempts": "0",
    "reason": "''",
}

# Fields: those of `signal_row`; `late` beside the signals before it in the batch; `hold`, for an unknown
# order; its targets, each as route, lane and the lane's number in this batch. Ids are drawn for new signals
# only, in the order of the batch. NOT EXISTS finds retries in all partitions, because each unique key is one of a
# single partition. Two gateways can't accept the same signal at once: it would be of one order, and locked.
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
    INSERT INTO signals ({", ".join(NEW_SIGNAL)})
    SELECT {", ".join(NEW_SIGNAL.values())}
    FROM drawn
), targets AS (
    SELECT id, account, (r ->> 8)::bigint AS at, held, t ->> 0 AS route, t ->> 1 AS lane,
           row_number() OVER (PARTITION BY (t ->> 2)::integer, held ORDER BY id) = 1 AS first
    FROM drawn CROSS JOIN LATERAL jsonb_array_elements(r -> 15) t
), delivered AS (
    INSERT INTO deliveries ({", ".join(NEW_DELIVERY)})
    SELECT {", ".join(NEW_DELIVERY.values())}
    FROM targets
)
SELECT place, id, held FROM drawn
"""

# After an accept, and only if any replay is pending: a replay that heads a lane and is not leased makes way for the
# live delivery that waits now.
MAKE_WAY = f"""
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


def accept_signals(db: Database, items: Sequence[Accept]) -> Callable[[], list[Accepted]]:
    """Write the signals that are new, with their deliveries."""
    firsts: dict[tuple[str, str], Accept] = {}
    for item in items:
        firsts.setdefault((item.signal.account, item.signal.identity), item)
    touched: dict[Lane, int] = {}
    rows = [accept_row(item, touched) for item in firsts.values()]
    mark_late(rows)
    written = statements.send(db, ACCEPT, dumps(rows))
    if named := [lane for lane in touched if lane[2] is not None]:
        statements.send(db, MAKE_WAY, dumps(named), max(row[8] for row in rows))

    def read() -> list[Accepted]:
        given = list(firsts)
        new = {given[place - 1]: Accepted(signal_id, False, held) for place, signal_id, held in written()}
        # Popped, so that of two equal signals in a batch the first is the one that was written.
        return [new.pop((item.signal.account, item.signal.identity), DUPLICATE) for item in items]

    return read


def accept_row(item: Accept, touched: dict[Lane, int]) -> list[Any]:
    """Return the fields of ACCEPT, with `late` not yet known. Each lane of the batch gets a number."""
    signal = item.signal
    targets = []
    for target in item.targets:
        lane = target.lane and clean(target.lane)
        number = touched.setdefault((signal.account, target.route, lane), len(touched))
        targets.append((target.route, lane, number))
    return [*signal_row(signal, len(item.targets), item.unrouted), False, item.hold, targets]


def mark_late(rows: Iterable[list[Any]]) -> None:
    """Mark rows that stand behind a later signal of their order in the batch; the table does not have it yet."""
    latest: defaultdict[tuple[str, str], dict[str | None, int]] = defaultdict(dict)
    for row in rows:
        account, _, at, _, order, _, item, *_ = row
        times = latest[account, order]
        before = times.values() if item is None else (times.get(name, UNKNOWN_TIME) for name in (item, None))
        row[13] = any(time > at for time in before)
        times[item] = max(at, times.get(item, UNKNOWN_TIME))
