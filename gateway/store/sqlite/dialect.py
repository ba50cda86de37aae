"""SQLite's form of the store's work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from peewee import Database

from gateway.errors import StoreError
from gateway.model import Delivery, RouteKey
from gateway.store.dialect import Dialect
from gateway.store.operations import Accept, Answers, CheckWritable, ClaimDue, Lane, Record, Renew
from gateway.store.sqlite import accept, lanes, lease, record
from gateway.store.sqlite.checkpoint import Checkpoints
from gateway.store.sqlite.watch import FileWatch
from gateway.store.statements import execute
from gateway.store.steps.claims import Leases

# Writes one page without changing anything in it: SQLite leaves application_id to applications.
CHECK_WRITABLE = "PRAGMA application_id = 0"


class SqliteDialect(Dialect):
    """See Dialect. SQLite needs no locks: only one transaction writes at a time. The serving process has a watch."""

    shared = False

    def __init__(self, watch: FileWatch | None = None, checkpoints: Checkpoints | None = None) -> None:
        self._watch = watch
        self._checkpoints = checkpoints

    def accept(self, db: Database, items: Sequence[Accept]) -> Answers:
        return accept.accept_signals(db, items)

    def lease(self, db: Database, items: Sequence[ClaimDue]) -> Answers:
        return lease.lease_deliveries(db, items)

    def record(self, db: Database, items: Sequence[Record]) -> Answers:
        return record.record_results(db, items)

    def renew(self, db: Database, items: Sequence[Renew]) -> Answers:
        return lease.renew_leases(db, items)

    def check_writable(self, db: Database, items: Sequence[CheckWritable]) -> Answers:
        execute(db, CHECK_WRITABLE)
        return items

    def promote_heads(self, db: Database, lanes_: Iterable[Lane], now: int) -> None:
        lanes.promote_heads(db, lanes_, now)

    def before_transaction(self, db: Database, items: Sequence[Any]) -> None:
        self.check_file()

    def check_file(self) -> None:
        if self._watch:
            self._watch.check()

    def watch_file(self, db: Database) -> None:
        try:
            self.check_file()
        except StoreError:
            if self._watch and self._watch.may_save_log():
                [(busy, _, _)] = execute(db, "PRAGMA wal_checkpoint(TRUNCATE)")
                if not busy:
                    self._watch.log_saved()

    def after_batch(self, db: Database) -> None:
        if self._checkpoints:
            self._checkpoints.run_if_due(db)

    def before_close(self) -> None:
        if self._watch:
            self._watch.protect_files(self._checkpoints is not None and self._checkpoints.unfinished)

    def leave_transaction(self, db: Database) -> None:
        # SQLite rolls some failed transactions back by itself: then ROLLBACK fails, and nothing is left to leave.
        if not db.is_closed() and db.connection().in_transaction:  # type: ignore[no-untyped-call]
            db.close()

    def read_leased(self, db: Database, leases: Leases) -> list[Delivery]:
        return lease.read_leased(db, leases)

    def read_next_due(self, db: Database, routes: Iterable[RouteKey]) -> dict[RouteKey, float]:
        return lease.read_next_due(db, routes)
