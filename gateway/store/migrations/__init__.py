"""The schema's steps, numbered scripts in this folder, and what applies them."""

from __future__ import annotations

from pathlib import Path

from peewee import Database
from playhouse.migrations import Runner

from gateway.errors import GatewayError
from gateway.store.sql import is_postgres

FOLDER = Path(__file__).parent
MIGRATING = 0x6D69_6772_6174_6521
"""The lock of who migrates; "migrate!"."""


def migrate(db: Database) -> list[str]:
    """Bring an open database to this version's schema; the steps applied.

    Raises GatewayError, and changes nothing, where a newer version has been at it.
    """
    runner = Runner(db, str(FOLDER))
    check_known(runner)
    if all(step.applied for step in runner.status()):
        return []
    # One transaction for all: a schema is never left half-way. Of gateways that start at once, one does it.
    with db.atomic():
        if is_postgres(db):
            db.execute_sql("SELECT pg_advisory_xact_lock(%s)", (MIGRATING,))  # type: ignore[no-untyped-call]
        return list(runner.up())


def check_known(runner: Runner) -> None:
    """GatewayError where the database has a step that this version lacks."""
    steps = runner.status()
    newest = max(step.name for step in steps if step.path is not None)
    for step in steps:
        if step.path is None:
            raise GatewayError(
                f"the store's schema has {step.name}, made by a newer version of the gateway; "
                f"this version knows up to {newest}: install the newer version"
            )
