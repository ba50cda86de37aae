"""The order of a lane on SQLite: which waiting delivery becomes the head."""

from __future__ import annotations

from collections.abc import Iterable

from peewee import Database

from gateway.store.operations import Lane
from gateway.store.rows import dumps
from gateway.store.statements import execute

LANE_ORDER = "replayed, signal_id"
"""Order in which waiting deliveries of a lane become its head: live ones before replays, then by acceptance.

DEMOTE_REPLAYS below, INSERT_DELIVERIES in `accept` and LANE_ORDER of `postgres.lanes` must agree with it. The model of
lanes in tests/contract/test_store_model.py tests all of them together.
"""

HAS_REPLAYS = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state = 'pending' AND replayed = 1)"

# A replay that is head of its lane, and not leased, makes way where a live delivery waits: LANE_ORDER says that live
# ones come first. So replays never delay live traffic, not even while they are retried.
DEMOTE_REPLAYS = """
UPDATE deliveries SET due_at = NULL
FROM json_each(?) r
WHERE account = r.value ->> 0 AND route = r.value ->> 1 AND lane = r.value ->> 2
  AND state = 'pending' AND replayed = 1 AND due_at IS NOT NULL AND lease IS NULL AND EXISTS (
    SELECT 1 FROM deliveries live
    WHERE live.account = r.value ->> 0 AND live.route = r.value ->> 1 AND live.lane = r.value ->> 2
      AND live.state = 'pending' AND live.due_at IS NULL AND live.held = 0 AND live.replayed = 0)
"""

# In each given lane without a head, the first of LANE_ORDER becomes the head. It is due since it was made, but at the
# latest now: an earlier run's clock may have been ahead.
PROMOTE_HEADS = f"""
UPDATE deliveries SET due_at = min(created_at, ?2)
FROM (
    SELECT value ->> 1 AS route, (
        SELECT signal_id FROM deliveries
        WHERE account = value ->> 0 AND route = value ->> 1 AND lane = value ->> 2
          AND state = 'pending' AND due_at IS NULL AND held = 0
        ORDER BY {LANE_ORDER} LIMIT 1) AS signal_id
    FROM json_each(?1)
    WHERE NOT EXISTS (
        SELECT 1 FROM deliveries head
        WHERE head.account = value ->> 0 AND head.route = value ->> 1 AND head.lane = value ->> 2
          AND head.state = 'pending' AND head.due_at IS NOT NULL AND head.lane IS NOT NULL)
) next
WHERE deliveries.signal_id = next.signal_id AND deliveries.route = next.route
"""


def promote_heads(db: Database, lanes: Iterable[Lane], now: int) -> None:
    """Give each lane its next head, if it has none or if its head is a replay that makes way."""
    touched = {lane for lane in lanes if lane[2] is not None}
    if not touched:
        return
    text = dumps(list(touched))
    if has_replays(db):
        execute(db, DEMOTE_REPLAYS, text)
    execute(db, PROMOTE_HEADS, text, now)


def has_replays(db: Database) -> bool:
    """Return True if any replay is pending: one seek in an index that is mostly empty."""
    return bool(execute(db, HAS_REPLAYS)[0][0])
