"""The schema's steps, numbered scripts in this folder, and what applies them.

Where gateways of several versions share a PostgreSQL, a schema changes in two halves. A step expands it: it only adds
what older versions do not mind, and is applied by `cloudsignal migrate` while they run. A step whose name has
`contract` takes away what only they used, and waits until none of them is connected any more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peewee import Database
from playhouse.migrations import Runner

from gateway import __version__
from gateway.errors import GatewayError
from gateway.store.sql import is_postgres

FOLDER = Path(__file__).parent
MIGRATING = 0x6D69_6772_6174_6521
"""The lock of who migrates; "migrate!"."""
APPLICATION = f"cloudsignal/{__version__}"
"""What a gateway's connections are called at the server; so it is known which versions run."""

OTHERS = """
SELECT DISTINCT application_name FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'cloudsignal/%%' AND application_name <> %s
ORDER BY application_name
"""


def open_schema(db: Database) -> None:
    """See that an open database has this version's schema, made now where there is none, or where this is the only
    gateway. Raises GatewayError, and changes nothing, for a schema that is newer, or older and shared."""
    steps = check_known(Steps(db))
    waiting = [step.name for step in steps if not step.applied and not contracts(step)]
    applied = [step.name for step in steps if step.applied]
    if waiting and is_postgres(db) and applied:
        raise GatewayError(
            f"the store's schema has {max(applied)}, and this version {__version__} needs {waiting[-1]}: "
            "run `cloudsignal migrate`; gateways of the version before may go on meanwhile"
        )
    if waiting:
        migrate(db)


def migrate(db: Database, contract: bool = False) -> list[str]:
    """Apply the steps that expand the schema, and with `contract` those that contract it; the names of those applied.

    Raises GatewayError, and changes nothing, where a newer version has been at it or, to contract, another still runs.
    """
    runner = Steps(db, contract)
    check_known(runner)
    # One transaction for all: a schema is never left half-way. Of gateways that start at once, one does it.
    with db.atomic():
        if is_postgres(db):
            execute(db, "SELECT pg_advisory_xact_lock(%s)", MIGRATING)
            # A step that would wait for a long transaction would have all others wait behind it.
            execute(db, "SET LOCAL lock_timeout = '5s'")
            if contract and (others := [name for (name,) in execute(db, OTHERS, APPLICATION)]):
                raise GatewayError(f"still connected: {', '.join(others)}; stop these gateways, then contract")
        return list(runner.up())


class Steps(Runner):  # type: ignore[misc]
    """The steps of this version; those that contract are left out of `up` unless asked for."""

    def __init__(self, db: Database, contract: bool = False) -> None:
        super().__init__(db, str(FOLDER))
        self._contract = contract

    def migrations(self) -> list[Any]:
        applied = self.applied()
        steps = super().migrations()
        return [step for step in steps if self._contract or not contracts(step) or step.name in applied]


def contracts(step: Any) -> bool:
    return "_contract_" in step.name


def check_known(runner: Runner) -> list[Any]:
    """All steps, as they stand at one moment: of gateways that start at once, another may apply them at the next.
    Raises GatewayError where the database has one that this version lacks."""
    steps: list[Any] = runner.status()
    newest = max(step.name for step in steps if step.path is not None)
    for step in steps:
        if step.path is None:
            raise GatewayError(
                f"the store's schema has {step.name}, made by a newer version of the gateway; "
                f"this version, {__version__}, knows up to {newest}: install the newer version"
            )
    return steps


def execute(db: Database, statement: str, *values: Any) -> list[Any]:
    cursor = db.execute_sql(statement, values)  # type: ignore[no-untyped-call]
    return cursor.fetchall() if cursor.description else []
