"""Records results on SQLite: the step `record`, with its statements."""

from __future__ import annotations

from collections.abc import Sequence

from peewee import Database

from gateway.store.operations import Lane, Record
from gateway.store.rows import ATTEMPT_ROW, attempt_row, dumps, micros, result_row
from gateway.store.sqlite import lanes
from gateway.store.statements import execute
from gateway.store.steps.results import count_taken, frees_head, state_changes
from gateway.store.values import Result

# Results that still have their lease, by their place in the array. Asked before the update: RETURNING could not tell
# two results of one delivery apart.
SELECT_TAKEN = """
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

INSERT_ATTEMPTS = f"""
INSERT INTO attempts ({", ".join(ATTEMPT_ROW)})
SELECT {", ".join(f"value ->> {place}" for place in range(len(ATTEMPT_ROW)))} FROM json_each(?)
"""

UPSERT_STATE = """
INSERT INTO sink_state (account, route, key, value)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?) WHERE true
ON CONFLICT (account, route, key) DO UPDATE SET value = excluded.value
"""


def record_results(db: Database, items: Sequence[Record]) -> list[int]:
    """Write results that still have their lease, the next heads of their lanes, and the sinks' state."""
    results = [result for item in items for result in item.results]
    lane_of = find_taken(db, results)
    taken = [results[place] for place in lane_of]
    update_results(db, taken)
    insert_attempts(db, taken)
    freed = (lane_of[place] for place in lane_of if frees_head(results[place]))
    lanes.promote_heads(db, freed, max((micros(result.ended_at) for result in taken), default=0))
    update_state(db, items)
    return count_taken(items, lane_of)


def find_taken(db: Database, results: Sequence[Result]) -> dict[int, Lane]:
    """Return the places of the results that count, with their lanes. Of two of one delivery the first counts."""
    if not results:
        return {}
    deliveries = [result.delivery for result in results]
    asked = [(d.signal.id, d.route, d.lease, d.signal.account) for d in deliveries]
    found: dict[tuple[int, str, str, str], tuple[int, Lane]] = {}
    for place, account, lane in execute(db, SELECT_TAKEN, dumps(asked)):
        found.setdefault(asked[place], (place, (account, asked[place][1], lane)))
    return dict(found.values())


def update_results(db: Database, results: Sequence[Result]) -> None:
    """Set the new states of the deliveries."""
    if results:
        execute(db, UPDATE_RESULTS, dumps([result_row(result) for result in results]))


def insert_attempts(db: Database, results: Sequence[Result]) -> None:
    """Write the failed attempts."""
    rows = [attempt_row(result.delivery, result.attempt) for result in results if result.attempt is not None]
    if rows:
        execute(db, INSERT_ATTEMPTS, dumps(rows))


def update_state(db: Database, items: Sequence[Record]) -> None:
    """Write the sinks' state changes."""
    if changes := state_changes(items):
        execute(db, UPSERT_STATE, dumps(changes))
