"""Records results on PostgreSQL: the step `record`, with its statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from peewee import Database

from gateway.store import statements
from gateway.store.operations import Record
from gateway.store.postgres.lanes import LIVE_WAITS, PROMOTE
from gateway.store.rows import attempt_row, dumps, micros, result_row
from gateway.store.steps.results import count_taken, state_changes
from gateway.store.tables import DELIVERY_COLUMNS
from gateway.store.values import Result

# Values of an ended delivery's columns, where they are not those of the pending one. NULL is left out of the INSERT.
ENDED_VALUES = {
    "state": "r ->> 4",
    "attempts": "attempts + (r ->> 6)::integer",
    "ended_at": "(r ->> 7)::bigint",
    "reason": "r ->> 8",
    "due_at": "NULL",
    "lease": "NULL",
    "leased_until": "NULL",
}
ENDED = {column: value for column in DELIVERY_COLUMNS if (value := ENDED_VALUES.get(column, column)) != "NULL"}
TRIED = {
    "account": "r ->> 0",
    "signal_id": "(r ->> 1)::bigint",
    "route": "r ->> 2",
    "number": "(r ->> 9)::integer",
    "started_at": "(r ->> 10)::bigint",
    "duration": "(r ->> 11)::bigint",
    "kind": "r ->> 12",
    "reason": "r ->> 13",
    "received_at": "(r ->> 14)::bigint",
}
"""Columns of an attempt, and their values."""

# Fields: account, signal, route, lease; then the result: state, due_at, number of attempts to add, ended_at, reason;
# then the attempt, if any: number, start, duration, kind, reason, time of the signal's receipt. Each result that is
# taken is of its lane's head: the head ends, is retried, or is a replay that makes way for live deliveries.
#
# An ended delivery moves to another partition by DELETE and INSERT. An UPDATE that moves a row fails concurrent claims
# that have read it before; a deleted row is skipped by them.
RECORD = f"""
WITH given AS MATERIALIZED (
    SELECT place, r FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS given (r, place)
), ended AS (
    DELETE FROM deliveries_pending d USING given
    WHERE d.account = r ->> 0 AND d.signal_id = ANY (ARRAY[(r ->> 1)::bigint]) AND d.route = r ->> 2
      AND d.state = 'pending' AND d.lease = r ->> 3 AND r ->> 4 <> 'pending'
    RETURNING place, r, d.*
), rested AS (
    INSERT INTO deliveries ({", ".join(ENDED)})
    SELECT {", ".join(ENDED.values())}
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
    INSERT INTO attempts ({", ".join(TRIED)})
    SELECT {", ".join(TRIED.values())}
    FROM recorded WHERE r ->> 9 IS NOT NULL
), freed AS (
    SELECT account, route, lane FROM recorded WHERE lane IS NOT NULL AND due_at IS NULL
), promoted AS ({PROMOTE})
SELECT place FROM recorded
"""

UPSERT_STATE = """
INSERT INTO sink_state (account, route, key, value)
SELECT r ->> 0, r ->> 1, r ->> 2, r ->> 3 FROM jsonb_array_elements(%s::jsonb) r
ON CONFLICT (account, route, key) DO UPDATE SET value = excluded.value
"""


def record_results(db: Database, items: Sequence[Record]) -> Callable[[], list[int]]:
    """Write results that still have their lease, the next heads of their lanes, and the sinks' state."""
    results = [result for item in items for result in item.results]
    places: dict[tuple[str, int, str, str], int] = {}  # of two results of one delivery the first counts
    for place, result in enumerate(results):
        signal = result.delivery.signal
        places.setdefault((signal.account, signal.id, result.delivery.route, result.delivery.lease), place)
    firsts = list(places.values())
    rows = [record_row(results[place]) for place in firsts]
    now = max((micros(result.ended_at) for result in results), default=0)
    taken = statements.send(db, RECORD, dumps(rows), now)
    if changes := state_changes(items):
        statements.send(db, UPSERT_STATE, dumps(changes))
    return lambda: count_taken(items, {firsts[number - 1] for (number,) in taken()})


def record_row(result: Result) -> list[Any]:
    """Return the fields of RECORD."""
    delivery, attempt = result.delivery, result.attempt
    signal_id, route, *outcome, account = result_row(result)
    tried = attempt_row(delivery, attempt)[3:] if attempt is not None else []
    return [account, signal_id, route, delivery.lease, *outcome, *tried]
