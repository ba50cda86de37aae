"""PostgreSQL's form of the store's work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from peewee import Database

from gateway.model import Delivery, RouteKey
from gateway.store.dialect import Dialect, Notifier
from gateway.store.operations import Accept, Answers, CheckWritable, ClaimDue, Lane, Record, Renew
from gateway.store.postgres import accept, lanes, lease, order_locks, partitions, record
from gateway.store.postgres.connection import Reconnecting
from gateway.store.postgres.partitions import Partition
from gateway.store.statements import execute
from gateway.store.steps.claims import Leases
from gateway.store.values import DroppedPartition, Settled

# A message in the write-ahead log that nobody reads. It is synced like any write, and fails on a read-only server.
CHECK_WRITABLE = "SELECT pg_logical_emit_message(true, 'cloudsignal', '')"


class PostgresDialect(Dialect):
    """See Dialect. `notifier` is None behind a pooler, which may move a listener to another session."""

    shared = True

    def __init__(self, notifier: Notifier | None) -> None:
        self.notifier = notifier

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
        order_locks.lock_orders(db, items)

    def leave_transaction(self, db: Database) -> None:
        db.close()

    def revive(self, db: Reconnecting) -> bool:
        return db.revive()

    def read_leased(self, db: Database, leases: Leases) -> list[Delivery]:
        return lease.read_leased(db, leases)

    def read_settled(self, db: Database) -> Settled:
        return order_locks.read_settled(db)

    def read_next_due(self, db: Database, routes: Iterable[RouteKey]) -> dict[RouteKey, float]:
        return lease.read_next_due(db, routes)

    def make_partitions(self, db: Database, now: float, retention: float) -> int:
        return len(partitions.make_partitions(db, now, now, retention))

    def list_old_partitions(self, db: Database, before: float) -> Sequence[Partition]:
        return partitions.list_old(db, before)

    def drop_partition(self, db: Database, partition: Partition, before: float, dead: bool) -> DroppedPartition | None:
        return partitions.drop_partition(db, partition, before, dead)
