"""Runs SQL text on a database. A hot statement takes all rows of its kind at once, as one JSON array of arrays.

With a statement per row, the writer's thread and the event loop's thread would exchange the interpreter's lock for
every row.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from peewee import Database, PostgresqlDatabase

Sent = Callable[[], list[Any]]
"""Return the rows of a statement that was sent; to be called after the transaction has ended."""

SIZES = (64, 16, 4, 1)
"""Rows in one INSERT. Few sizes mean few statement texts, so that the driver's cache has each of them compiled."""


def execute(db: Database, text: str, *values: Any) -> list[Any]:
    """Run a statement and return its rows, if it has any."""
    cursor = db.execute_sql(text, values)  # type: ignore[no-untyped-call]
    return cursor.fetchall() if cursor.description else []


def send(db: Database, text: str, *values: Any) -> Sent:
    """Send a statement to PostgreSQL without waiting for its answer; see `Reconnecting.send`."""
    cursor = db.send(text, values)  # type: ignore[attr-defined]
    return lambda: cursor.fetchall() if cursor.description else []


def insert(db: Database, text: str, rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Run an INSERT that has `{rows}` in place of its rows, for as many rows at a time as SIZES allows.

    Return the rows of its RETURNING clause.
    """
    returned, done = [], 0
    while left := len(rows) - done:
        size = next(size for size in SIZES if size <= left)
        batch = rows[done : done + size]
        returned += execute(db, with_rows(text, size, len(rows[0])), *itertools.chain.from_iterable(batch))
        done += size
    return returned


@functools.cache
def with_rows(text: str, rows: int, columns: int) -> str:
    """Return the statement's text with placeholders for so many rows."""
    row = f"({', '.join('?' * columns)})"
    return text.format(rows=", ".join([row] * rows))


def is_postgres(db: Database) -> bool:
    """Return True for a PostgreSQL, False for SQLite."""
    return isinstance(db, PostgresqlDatabase)
