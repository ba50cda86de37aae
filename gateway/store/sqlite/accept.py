"""Accepts signals on SQLite: the step `accept`, with its statements.

The rows of an accept are bound to the statement one by one, at half the cost of reading them from JSON: senders wait
for it. `{rows}` stands for their placeholders.
"""

from __future__ import annotations

from collections.abc import Sequence

from peewee import Database

from gateway.store import statements
from gateway.store.operations import LOOK_BACK, Accept, Lane
from gateway.store.rows import SIGNAL_ROW, UNKNOWN_TIME, clean, dumps, micros_of, signal_row
from gateway.store.sqlite import lanes
from gateway.store.values import Accepted

# A retry meets the first signal in the unique key and is skipped, also within one batch. Only new rows are returned.
INSERT_SIGNALS = f"""
INSERT INTO signals ({", ".join(SIGNAL_ROW)})
VALUES {{rows}}
ON CONFLICT (account, occurred_at, identity) DO NOTHING
RETURNING id, account, identity
"""

# Marks those of the given signals that are late: an earlier accepted signal has a later time, and is of the same item
# or of the order as a whole, or, for a signal without an item, of any item. Nearly always each is one seek that finds
# nothing.
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

FIND_KNOWN_ORDERS = """
SELECT known.account, known.ref FROM json_each(?) asked
CROSS JOIN known_orders known ON known.account = asked.value ->> 0 AND known.ref = asked.value ->> 1
"""

# A new delivery is the head of its lane, and due, if it may be (column6: it is not held, and the first of its lane in
# this batch) and the lane has no head. Else it waits: of live deliveries it has the highest id, and is last in
# lanes.LANE_ORDER. So an accept needs no second statement to find the heads, unless replays are pending.
NEW_DELIVERY = {
    "signal_id": "column1",
    "route": "column2",
    "account": "column3",
    "lane": "column4",
    "created_at": "column5",
    "received_at": "column5",
    "due_at": """CASE WHEN column6 AND (column4 IS NULL OR NOT EXISTS (
           SELECT 1 FROM deliveries head
           WHERE head.account = column3 AND head.route = column2 AND head.lane = column4
             AND head.state = 'pending' AND head.due_at IS NOT NULL AND head.lane IS NOT NULL))
       THEN column5 END""",
    "held": "column7",
    "state": "'pending'",
    "attempts": "0",
    "reason": "''",
}
"""Columns of a new delivery, and their values; the others are UNSET_WHEN_NEW."""

INSERT_DELIVERIES = f"""
INSERT INTO deliveries ({", ".join(NEW_DELIVERY)})
SELECT {", ".join(NEW_DELIVERY.values())}
FROM (VALUES {{rows}})
"""


def accept_signals(db: Database, items: Sequence[Accept]) -> list[Accepted]:
    """Write the signals that are new, with their deliveries."""
    ids = insert_signals(db, items)
    known = find_known_orders(db, items)
    answers = []
    for item in items:
        # Popped, so that of two equal signals in a batch the first is the one that was written.
        signal_id = ids.pop((item.signal.account, item.signal.identity), 0)
        held = bool(signal_id) and item.hold and not known.intersection(item.order_names())
        answers.append(Accepted(signal_id, not signal_id, held))
    mark_late(db, [(item.signal.account, answer.signal_id) for item, answer in zip(items, answers, strict=True)])
    insert_deliveries(db, items, answers)
    return answers


def insert_signals(db: Database, items: Sequence[Accept]) -> dict[tuple[str, str], int]:
    """Write the signals that are new, and return their ids by account and identity."""
    rows = [signal_row(item.signal, len(item.targets), item.unrouted) for item in items]
    written = statements.insert(db, INSERT_SIGNALS, rows)
    return {(account, identity): signal_id for signal_id, account, identity in written}


def mark_late(db: Database, ids: Sequence[tuple[str, int]]) -> None:
    """Mark the signals just written that are late; see MARK_LATE."""
    if written := [key for key in ids if key[1]]:
        statements.execute(db, MARK_LATE, dumps(written))


def find_known_orders(db: Database, items: Sequence[Accept]) -> set[tuple[str, str]]:
    """Return the known orders among the orders of signals that would be held otherwise."""
    asked = {name for item in items if item.hold for name in item.order_names()}
    return set(statements.execute(db, FIND_KNOWN_ORDERS, dumps(list(asked)))) if asked else set()


def insert_deliveries(db: Database, items: Sequence[Accept], answers: Sequence[Accepted]) -> None:
    """Write a delivery for each target of each new signal."""
    rows = []
    begun: set[Lane] = set()
    for (signal, targets, _, _), answer in zip(items, answers, strict=True):
        if answer.duplicate:
            continue
        at = micros_of(signal.received_at)
        for route, lane in ((target.route, target.lane) for target in targets):
            first = not answer.held and (lane is None or (signal.account, route, lane) not in begun)
            if first:
                begun.add((signal.account, route, lane))
            rows.append((answer.signal_id, route, signal.account, lane and clean(lane), at, first, answer.held))
    if rows:
        statements.insert(db, INSERT_DELIVERIES, rows)
        if lanes.has_replays(db):
            lanes.promote_heads(db, begun, max(row[4] for row in rows))
