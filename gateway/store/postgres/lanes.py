"""The order of a lane on PostgreSQL: which waiting delivery becomes the head.

All statements of this package rely on the advisory locks of `order_locks`, taken before them: no other transaction
changes the heads of the same lanes. Rows that claims and results of other gateways may want too are locked as they are
read. Statements name the account, so that a database partitioned by account reads one partition. They name the time of
receipt if they can, so that other partitions are left out. Pending deliveries are read from their own partition.

That partition is mostly nearly empty, and then suddenly is not. A plan made while it was empty would read all of it for
each key, if the key were compared by `=`. `= ANY (ARRAY[...])` leaves only a seek by the index.

Where EXISTS would stand outside of WHERE, a subquery with LIMIT does: from EXISTS the planner may make one scan of all
pending deliveries in place of a seek for each row.
"""

from __future__ import annotations

from collections.abc import Iterable

from peewee import Database

from gateway.store.operations import Lane
from gateway.store.rows import dumps
from gateway.store.statements import execute

LANE_ORDER = "replayed, signal_id"
"""Order in which waiting deliveries of a lane become its head: live ones before replays, then by acceptance.

LIVE_WAITS and DEMOTE_REPLAYS below, ACCEPT in `accept` and LANE_ORDER of `sqlite.lanes` must agree with it. The model
of lanes in tests/contract/test_store_model.py tests all of them together.
"""

# A condition, used in `accept` and `record`: a live delivery waits in the lane of `d`. LANE_ORDER says that live ones
# come before replays.
LIVE_WAITS = """(
    SELECT 1 FROM deliveries_pending live
    WHERE live.account = d.account AND live.route = d.route AND live.lane = d.lane
      AND live.state = 'pending' AND live.due_at IS NULL AND live.held = 0 AND live.replayed = 0 LIMIT 1) = 1"""

# The end of a larger statement: gives each lane of `freed` its next head. A statement does not see its own changes.
# The locks of the orders guarantee that the waiting deliveries seen here are the current ones.
PROMOTE = f"""
UPDATE deliveries_pending d SET due_at = least(d.created_at, %s::bigint)
FROM freed CROSS JOIN LATERAL (
    SELECT w.account, w.signal_id, w.route FROM deliveries_pending w
    WHERE w.account = freed.account AND w.route = freed.route AND w.lane = freed.lane
      AND w.due_at IS NULL AND w.held = 0
    ORDER BY {LANE_ORDER} LIMIT 1) next
WHERE d.account = next.account AND d.signal_id = ANY (ARRAY[next.signal_id]) AND d.route = next.route
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

PROMOTE_HEADS = f"""
UPDATE deliveries_pending d SET due_at = least(created_at, given.now)
FROM (SELECT %s::jsonb AS rows, %s::bigint AS now) given CROSS JOIN jsonb_array_elements(given.rows) r
CROSS JOIN LATERAL (
    SELECT w.account, w.signal_id, w.route FROM deliveries_pending w
    WHERE w.account = r ->> 0 AND w.route = r ->> 1 AND w.lane = r ->> 2 AND w.due_at IS NULL AND w.held = 0
    ORDER BY {LANE_ORDER} LIMIT 1) next
WHERE d.account = next.account AND d.signal_id = ANY (ARRAY[next.signal_id]) AND d.route = next.route AND (
    SELECT 1 FROM deliveries_pending head
    WHERE head.account = r ->> 0 AND head.route = r ->> 1 AND head.lane = r ->> 2
      AND head.due_at IS NOT NULL AND head.lane IS NOT NULL LIMIT 1) IS NULL
"""


def promote_heads(db: Database, lanes: Iterable[Lane], now: int) -> None:
    """Give each lane its next head, if it has none or if its head is a replay that makes way."""
    if touched := {lane for lane in lanes if lane[2] is not None}:
        text = dumps(list(touched))
        execute(db, DEMOTE_REPLAYS, text)
        execute(db, PROMOTE_HEADS, text, now)
