"""Counts the pending deliveries and the dead letters of each route, and each account's requests in quarantine."""

from __future__ import annotations

from peewee import Database

from gateway.model import RouteKey
from gateway.store.rows import seconds
from gateway.store.statements import execute, is_postgres
from gateway.store.values import Backlog

# Three partial indexes hold all that is pending, each in the order of its routes; the result is a row for each route.
SQLITE_BACKLOG = """
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

POSTGRES_BACKLOG = """
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
        FROM deliveries_pending WHERE state = 'pending' AND held = 1 GROUP BY account, route) pending_rows
    GROUP BY account, route) counted
"""


def read_backlog(db: Database) -> dict[RouteKey, Backlog]:
    """Return the backlog of each route; routes without pending deliveries are left out."""
    rows = execute(db, POSTGRES_BACKLOG if is_postgres(db) else SQLITE_BACKLOG)
    return {(account, route): Backlog(pending, due, seconds(at)) for account, route, pending, due, at in rows}


DEAD_LETTERS = "SELECT account, route, count(*) FROM deliveries WHERE state = 'dead' GROUP BY account, route"


def count_dead(db: Database) -> dict[RouteKey, int]:
    """Return the number of each route's dead letters; routes without any are left out."""
    return {(account, route): number for account, route, number in execute(db, DEAD_LETTERS)}


QUARANTINED = "SELECT account, count(*) FROM quarantine WHERE accepted_at IS NULL GROUP BY account"


def count_quarantined(db: Database) -> dict[str, int]:
    """Return the number of each account's requests in quarantine; accounts without any are left out."""
    return dict(execute(db, QUARANTINED))
