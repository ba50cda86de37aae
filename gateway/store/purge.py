"""What is done with and old is removed, a whole signal at a time, so that the ledger stays even."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from peewee import Database, Expression, fn

from gateway.store.rows import micros
from gateway.store.sql import is_postgres
from gateway.store.tables import Attempts, DefaultSignals, Deliveries, Quarantine, Signals
from gateway.store.values import Purged


class Purge(NamedTuple):
    before: float
    after: int
    limit: int
    dead: bool
    unpartitioned: bool = False


class PurgeQuarantine(NamedTuple):
    before: float
    limit: int


def purge_signals(db: Database, items: Sequence[Purge]) -> list[Purged]:
    """Old signals, of the next so many."""
    return [purge_page(db, item) for item in items]


def purge_page(db: Database, item: Purge) -> Purged:
    """A page of signals by id. Received times nearly always grow with ids, so a page without an old one is the end."""
    table = DefaultSignals if item.unpartitioned and is_postgres(db) else Signals
    page = table.select(table.id, table.received_at).where(table.id > item.after)
    rows = list(page.order_by(table.id).limit(item.limit).tuples().execute(db))
    old = {signal_id: received_at for signal_id, received_at in rows if received_at < micros(item.before)}
    if not old:
        return Purged(0, 0, None)
    if is_postgres(db):
        lock(db, old)
    held_back = Deliveries.select(Deliveries.signal_id).where(among(Deliveries.signal_id, old), keeps(item))
    for (signal_id,) in held_back.tuples().execute(db):
        old.pop(signal_id, None)
    Attempts.delete().where(among(Attempts.signal_id, old)).execute(db)
    deliveries = Deliveries.delete().where(among(Deliveries.signal_id, old)).execute(db)
    Signals.delete().where(among(Signals.id, old)).execute(db)
    return Purged(len(old), deliveries, rows[-1][0])


def among(field: Any, signals: Mapping[int, int]) -> Expression:
    """Rows of these signals, which were received at these times: so that only the parts of that time are looked at."""
    first, last = min(signals.values(), default=0), max(signals.values(), default=0)
    rows: Expression = field.in_(sorted(signals)) & field.model.received_at.between(first, last)
    return rows


def lock(db: Database, signals: Mapping[int, int]) -> None:
    """Another gateway may be about to replay one: it has done so before we look, or finds nothing."""
    rows = Deliveries.select(Deliveries.signal_id).where(among(Deliveries.signal_id, signals))
    list(rows.order_by(Deliveries.signal_id, Deliveries.route).for_update().tuples().execute(db))


def keeps(item: Purge) -> Expression:
    """A delivery on whose account its signal stays."""
    kept = (Deliveries.state == "pending") | (Deliveries.ended_at >= micros(item.before))
    return kept if item.dead else kept | (Deliveries.state == "dead")


def purge_quarantine(db: Database, items: Sequence[PurgeQuarantine]) -> list[int]:
    """Old requests that were quarantined, so many of them."""
    return [purge_refused(db, item) for item in items]


def purge_refused(db: Database, item: PurgeQuarantine) -> int:
    old = Quarantine.select(Quarantine.id).where(Quarantine.received_at < micros(item.before))
    ids = [found for (found,) in old.order_by(Quarantine.id).limit(item.limit).tuples().execute(db)]
    removed: int = Quarantine.delete().where(Quarantine.id.in_(ids)).execute(db)
    return removed


def count_purgeable(db: Database, before: float, dead: bool) -> int:
    """How many signals a purge would remove; looks at all there are."""
    same = (Deliveries.signal_id == Signals.id, Deliveries.received_at == Signals.received_at)
    held_back = Deliveries.select(1).where(*same, keeps(Purge(before, 0, 0, dead)))
    old = Signals.select(fn.COUNT(Signals.id)).where(Signals.received_at < micros(before), ~fn.EXISTS(held_back))
    return int(old.scalar(db))


def count_refused(db: Database, before: float) -> int:
    """How many quarantined requests a purge would remove."""
    return int(Quarantine.select(fn.COUNT(Quarantine.id)).where(Quarantine.received_at < micros(before)).scalar(db))
