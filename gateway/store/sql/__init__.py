"""The hot statements, each in the words of both databases. Each takes all rows of its kind at once, as one JSON array
of arrays: a statement a row would have the writer's thread and the event loop's pass the interpreter's lock to and fro
for every row.

What a statement is for, and why it is as it is, stands in `sqlite`; `postgres` says only what differs there. Where
PostgreSQL does a whole step with one statement, to save round trips, `pipeline` has it, and `sqlite` the others alone.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from peewee import Database, PostgresqlDatabase

from gateway.store.sql import postgres, sqlite

Sent = Callable[[], list[Any]]
"""Gives the rows of a statement that was sent."""


class Statement(NamedTuple):
    """One statement in two dialects, with the same values in the same order and the same rows."""

    sqlite: str
    postgres: str


def run(db: Database, statement: Statement, *values: Any) -> list[Any]:
    """The rows that the statement returns, if any."""
    return execute(db, statement.postgres if is_postgres(db) else statement.sqlite, *values)


def execute(db: Database, text: str, *values: Any) -> list[Any]:
    cursor = db.execute_sql(text, values)  # type: ignore[no-untyped-call]
    return cursor.fetchall() if cursor.description else []


def insert(db: Database, text: str, rows: Sequence[Sequence[Any]]) -> list[Any]:
    """The rows that a statement with `{rows}` returns. It is run for 64 rows at a time, then for 16, 4 and 1, and not
    for as many as there are: so the driver has each text compiled already."""
    returned, done = [], 0
    while left := len(rows) - done:
        size = next(size for size in SIZES if size <= left)
        part = rows[done : done + size]
        returned += execute(db, with_rows(text, size, len(rows[0])), *itertools.chain.from_iterable(part))
        done += size
    return returned


SIZES = (64, 16, 4, 1)


@functools.cache
def with_rows(text: str, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return text.format(rows=", ".join([row] * rows))


def send(db: Database, text: str, *values: Any) -> Sent:
    """Have PostgreSQL run a statement of its own, and go on meanwhile; the rows are there once the transaction has
    ended."""
    cursor = db.send(text, values)  # type: ignore[attr-defined]
    return lambda: cursor.fetchall() if cursor.description else []


def is_postgres(db: Database) -> bool:
    return isinstance(db, PostgresqlDatabase)


READ_LEASED = Statement(sqlite.READ_LEASED, postgres.READ_LEASED)
RENEW_LEASES = Statement(sqlite.RENEW_LEASES, postgres.RENEW_LEASES)
NEXT_DUE = Statement(sqlite.NEXT_DUE, postgres.NEXT_DUE)
HAS_REPLAYS = Statement(sqlite.HAS_REPLAYS, sqlite.HAS_REPLAYS)
DEMOTE_REPLAYS = Statement(sqlite.DEMOTE_REPLAYS, postgres.DEMOTE_REPLAYS)
PROMOTE_HEADS = Statement(sqlite.PROMOTE_HEADS, postgres.PROMOTE_HEADS)
UPSERT_STATE = Statement(sqlite.UPSERT_STATE, postgres.UPSERT_STATE)
INSERT_KNOWN_ORDERS = Statement(sqlite.INSERT_KNOWN_ORDERS, postgres.INSERT_KNOWN_ORDERS)
FREE_HELD = Statement(sqlite.FREE_HELD, postgres.FREE_HELD)
RELEASE_LEASES = Statement(sqlite.RELEASE_LEASES, postgres.RELEASE_LEASES)
RESET_DUE_TIMES = Statement(sqlite.RESET_DUE_TIMES, postgres.RESET_DUE_TIMES)
BACKLOG = Statement(sqlite.BACKLOG, postgres.BACKLOG)
UPSERT_ROUTE = Statement(sqlite.UPSERT_ROUTE, postgres.UPSERT_ROUTE)
UPSERT_PAUSE = Statement(sqlite.UPSERT_PAUSE, postgres.UPSERT_PAUSE)
OWN_ROUTES = Statement(sqlite.OWN_ROUTES, postgres.OWN_ROUTES)
CHECK_WRITABLE = Statement(sqlite.CHECK_WRITABLE, postgres.CHECK_WRITABLE)
