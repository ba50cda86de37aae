"""Removes old signals and quarantined requests. A signal goes with all its rows, so that the ledger stays balanced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from peewee import Database, Expression, fn

from gateway.store.rows import micros
from gateway.store.statements import is_postgres
from gateway.store.tables import Actions, Attempts, DefaultSignals, Deliveries, Quarantine, Replays, Signals
from gateway.store.values import Purged


class Purge(NamedTuple):
    """A page of signals to purge; see `Upkeep.purge`."""

    before: float
    after: int
    limit: int
    dead: bool
    unpartitioned: bool = False


class PurgeQuarantine(NamedTuple):
    """Quarantined requests to purge, at most `limit`."""

    before: float
    limit: int


class PurgeActions(NamedTuple):
    """Recorded actions to purge, at most `limit`."""

    before: float
    limit: int


def purge_signals(db: Database, items: Sequence[Purge]) -> list[Purged]:
    """Purge pages of signals."""
    return [purge_page(db, item) for item in items]


def purge_page(db: Database, item: Purge) -> Purged:
    """Purge the old signals of one page, in the order of ids.

    Times of receipt nearly always grow with the ids, so a page without an old signal ends the purge.
    """
    table = DefaultSignals if item.unpartitioned and is_postgres(db) else Signals
    page = table.select(table.id, table.received_at).where(table.id > item.after)
    rows = list(page.order_by(table.id).limit(item.limit).tuples().execute(db))
    old = {signal_id: received_at for signal_id, received_at in rows if received_at < micros(item.before)}
    if not old:
        return Purged(0, 0, None)
    if is_postgres(db):
        lock_deliveries(db, old)
    kept = Deliveries.select(Deliveries.signal_id).where(of_signals(Deliveries.signal_id, old), keeps_signal(item))
    for (signal_id,) in kept.tuples().execute(db):
        old.pop(signal_id, None)
    Attempts.delete().where(of_signals(Attempts.signal_id, old)).execute(db)
    deliveries = Deliveries.delete().where(of_signals(Deliveries.signal_id, old)).execute(db)
    Signals.delete().where(of_signals(Signals.id, old)).execute(db)
    return Purged(len(old), deliveries, rows[-1][0])


def of_signals(field: Any, signals: Mapping[int, int]) -> Expression:
    """Select rows of these signals (ids to times of receipt). Their time span leaves other partitions out."""
    first, last = min(signals.values(), default=0), max(signals.values(), default=0)
    rows: Expression = field.in_(sorted(signals)) & field.model.received_at.between(first, last)
    return rows


def lock_deliveries(db: Database, signals: Mapping[int, int]) -> None:
    """Lock the deliveries. Race: another gateway may be replaying one; it commits before we look, or finds nothing."""
    rows = Deliveries.select(Deliveries.signal_id).where(of_signals(Deliveries.signal_id, signals))
    list(rows.order_by(Deliveries.signal_id, Deliveries.route).for_update().tuples().execute(db))


def keeps_signal(item: Purge) -> Expression:
    """Select deliveries that keep their signal from being purged."""
    kept = (Deliveries.state == "pending") | (Deliveries.ended_at >= micros(item.before))
    return kept if item.dead else kept | (Deliveries.state == "dead")


def purge_quarantine(db: Database, items: Sequence[PurgeQuarantine]) -> list[int]:
    """Purge quarantined requests; answer each with their number."""
    return [purge_requests(db, item) for item in items]


def purge_requests(db: Database, item: PurgeQuarantine) -> int:
    """Purge the oldest requests, at most `limit`."""
    old = Quarantine.select(Quarantine.id).where(Quarantine.received_at < micros(item.before))
    ids = [found for (found,) in old.order_by(Quarantine.id).limit(item.limit).tuples().execute(db)]
    removed: int = Quarantine.delete().where(Quarantine.id.in_(ids)).execute(db)
    return removed


def purge_actions(db: Database, items: Sequence[PurgeActions]) -> list[int]:
    """Purge old actions and jobs that have ended; answer each with their number."""
    return [purge_old_actions(db, item) for item in items]


def purge_old_actions(db: Database, item: PurgeActions) -> int:
    """Purge the oldest actions and jobs, at most `limit` of each. Their ids have the order of their times."""
    actions = Actions.select(Actions.id, Actions.at)
    jobs = Replays.select(Replays.id, Replays.created_at).where(Replays.state != "running")
    removed = 0
    for table, query in ((Actions, actions), (Replays, jobs)):
        rows = query.order_by(table.id).limit(item.limit).tuples().execute(db)
        ids = [found for found, at in rows if at < micros(item.before)]
        removed += table.delete().where(table.id.in_(ids)).execute(db) if ids else 0
    return removed


# -- dry runs, on a reader's thread


def count_purgeable(db: Database, before: float, dead: bool) -> int:
    """Return how many signals a purge would remove. It reads all signals received before that time."""
    same = (Deliveries.signal_id == Signals.id, Deliveries.received_at == Signals.received_at)
    kept = Deliveries.select(1).where(*same, keeps_signal(Purge(before, 0, 0, dead)))
    old = Signals.select(fn.COUNT(Signals.id)).where(Signals.received_at < micros(before), ~fn.EXISTS(kept))
    return int(old.scalar(db))


def count_requests(db: Database, before: float) -> int:
    """Return how many quarantined requests a purge would remove."""
    return int(Quarantine.select(fn.COUNT(Quarantine.id)).where(Quarantine.received_at < micros(before)).scalar(db))
