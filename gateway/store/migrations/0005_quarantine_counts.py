"""An index of the requests in quarantine, by account: they are counted every 15 s, without reading their bodies."""

from typing import Any

from peewee import Database

QUARANTINED = "CREATE INDEX quarantine_account ON quarantine (account) WHERE accepted_at IS NULL"


def up(migrator: Any, db: Database) -> None:
    """Make the index."""
    db.execute_sql(QUARANTINED)  # type: ignore[no-untyped-call]
