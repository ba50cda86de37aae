"""Migrations of the schema: numbered scripts in this folder, and the functions that apply them.

Gateways of several versions may share a PostgreSQL, so a schema changes in two halves. First a migration expands it: it
only adds tables and columns that older versions ignore, and `cloudsignal migrate` applies it while they run. Later a
migration with `contract` in its name removes the parts that only older versions used. It waits until none of them is
connected.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peewee import Database
from playhouse.migrations import Runner

from gateway import __version__
from gateway.errors import GatewayError, StoreMissing
from gateway.store.statements import execute, is_postgres

FOLDER = Path(__file__).parent
MIGRATING = 0x6D69_6772_6174_6521
"""Number of the advisory lock of the process that migrates; "migrate!"."""
APPLICATION = f"cloudsignal/{__version__}"
"""Name of a gateway's connections at the server, which tells the versions that run."""

OTHERS = """
SELECT DISTINCT application_name FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'cloudsignal/%%' AND application_name <> %s
ORDER BY application_name
"""


def open_schema(db: Database, create: bool = True) -> None:
    """Check that an open database has this version's schema; create or expand it if this is the only gateway.

    Raises GatewayError, and changes nothing, if the schema is newer, or older and shared; StoreMissing if there is none
    and it is not to be created.
    """
    steps = check_known(Steps(db))
    waiting = [step.name for step in steps if not step.applied and not contracts(step)]
    applied = [step.name for step in steps if step.applied]
    if not applied and not create:
        raise StoreMissing("the database has no store: `cloudsignal serve` makes it")
    if waiting and is_postgres(db) and applied:
        raise GatewayError(
            f"the store's schema has {max(applied)}, and this version {__version__} needs {waiting[-1]}: "
            "run `cloudsignal migrate`; gateways of the version before may go on meanwhile"
        )
    if waiting:
        migrate(db)


def migrate(db: Database, contract: bool = False) -> list[str]:
    """Apply the migrations that expand the schema, and with `contract` the others too. Return the names applied.

    Raises GatewayError, and changes nothing, if the schema is of a newer version or, to contract, if another runs.
    """
    runner = Steps(db, contract)
    check_known(runner)
    # One transaction for all, so that a schema is never left half-way. If gateways start at once, one migrates.
    with db.atomic():
        if is_postgres(db):
            execute(db, "SELECT pg_advisory_xact_lock(%s)", MIGRATING)
            # A migration that waits for a long transaction makes everybody else wait behind it.
            execute(db, "SET LOCAL lock_timeout = '5s'")
            if contract and (others := [name for (name,) in execute(db, OTHERS, APPLICATION)]):
                raise GatewayError(f"still connected: {', '.join(others)}; stop these gateways, then contract")
        return list(runner.up())


class Steps(Runner):  # type: ignore[misc]
    """Migrations of this version. Migrations that contract are left out of `up` unless asked for."""

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
    """Return all migrations as they are at one moment: another gateway that starts may apply some at the next.

    Raises GatewayError if the database has a migration that this version lacks.
    """
    steps: list[Any] = runner.status()
    newest = max(step.name for step in steps if step.path is not None)
    for step in steps:
        if step.path is None:
            raise GatewayError(
                f"the store's schema has {step.name}, made by a newer version of the gateway; "
                f"this version, {__version__}, knows up to {newest}: install the newer version"
            )
    return steps
