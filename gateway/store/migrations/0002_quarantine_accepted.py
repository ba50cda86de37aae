"""Requests that were accepted after all stay in quarantine, marked with when, and as which signal."""

from typing import Any

from peewee import Database


def up(migrator: Any, db: Database) -> None:
    """Add the marks."""
    for column in ("accepted_at", "signal_id"):
        db.execute_sql(f"ALTER TABLE quarantine ADD COLUMN {column} BIGINT")  # type: ignore[no-untyped-call]
