"""Copies a store from SQLite to PostgreSQL: in pages by signal, each a transaction, so that it can go on where it was
interrupted; in the end the ledgers tell whether anything is missing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from peewee import Database, Model, PeeweeException, fn

from gateway.errors import GatewayError, StoreError
from gateway.store import partitions, queries, sqlite
from gateway.store.contract import Settings
from gateway.store.migrations import execute, open_schema
from gateway.store.tables import TABLES, Attempts, Deliveries, Signals
from gateway.store.writer import describe_failure

PAGE = 2000
"""Signals copied at once."""
OF_SIGNALS: tuple[tuple[type[Model], Any], ...] = (
    (Signals, Signals.id),
    (Deliveries, Deliveries.signal_id),
    (Attempts, Attempts.signal_id),
)
"""What is copied with its signal, and by which column."""


@dataclass(frozen=True, slots=True)
class Moved:
    signals: int
    deliveries: int


async def move_store(source: Settings, target: Settings, retention: float, tell: Callable[[int, int], None]) -> Moved:
    """Fill `target`, a PostgreSQL that is empty or was begun from this source, with what `source` has, in parts as this
    retention (seconds) asks for; `tell` is called with how many signals are there, of how many. Raises StoreInUse where
    a gateway serves from the source, GatewayError where the target has signals of its own or the ledgers differ in the
    end."""
    store = sqlite.open_sqlite(source, asyncio.get_running_loop(), exclusive=True)
    try:
        await store.verify()
        await store.release_leases(time.time())  # whoever held them is gone, and the target would wait for them
        return await asyncio.to_thread(copy, source, target, retention, tell)
    finally:
        await store.close()


def copy(source: Settings, target: Settings, retention: float, tell: Callable[[int, int], None]) -> Moved:
    from gateway.store import postgres

    with contextlib.ExitStack() as opened:
        try:
            old = sqlite.connect(sqlite.path_of(source.url), sqlite.BUSY_TIMEOUT, sqlite.READER_PRAGMAS, opened)
            new = postgres.connect(postgres.parameters_of(target), target, opened)
            open_schema(new)
            make_room(old, new, retention)
            after = find_place(old, new)
            copy_others(old, new)
            copy_signals(old, new, after, tell)
            draw_ids_after(new)
            return compare(old, new)
        except PeeweeException as error:
            raise StoreError(f"the move was interrupted, and can be run again: {describe_failure(error)}") from error


def make_room(old: Database, new: Database, retention: float) -> None:
    """Parts for all that will be kept; what is older goes soon, and by itself."""
    first, now = Signals.select(fn.MIN(Signals.received_at)).scalar(old), time.time()
    if first is not None:
        oldest = now - retention - partitions.width_of(retention) / 1e6
        partitions.make_partitions(new, min(max(first / 1e6, oldest), now), now, retention)


def find_place(old: Database, new: Database) -> int:
    """The last signal that an earlier run has copied, 0 for none."""
    last = Signals.select(fn.MAX(Signals.id)).scalar(new)
    if last is None:
        return 0
    same = (Signals.account, Signals.identity, Signals.received_at)
    of_both = [Signals.select(*same).where(Signals.id == last).tuples().execute(db)[:] for db in (old, new)]
    if of_both[0] != of_both[1]:
        raise GatewayError("the database already has signals that are not from this store: name an empty one")
    return int(last)


def copy_others(old: Database, new: Database) -> None:
    """All but signals and what belongs to them; it is little, so an interrupted run begins it anew."""
    for model in TABLES:
        if model not in (owner for owner, _ in OF_SIGNALS):
            with new.atomic():
                model.delete().execute(new)
                insert(new, model, model.select().dicts().execute(old))


def copy_signals(old: Database, new: Database, after: int, tell: Callable[[int, int], None]) -> None:
    total = Signals.select(fn.COUNT(Signals.id)).scalar(old)
    done = Signals.select(fn.COUNT(Signals.id)).where(Signals.id <= after).scalar(old)
    tell(done, total)
    while page := next_page(old, after):
        with new.atomic():
            for model, column in OF_SIGNALS:
                insert(new, model, model.select().where(column.between(page[0], page[-1])).dicts().execute(old))
        after = page[-1]
        done += len(page)
        tell(done, total)


def next_page(old: Database, after: int) -> list[int]:
    rows = Signals.select(Signals.id).where(Signals.id > after).order_by(Signals.id).limit(PAGE).tuples().execute(old)
    return [signal_id for (signal_id,) in rows]


def insert(new: Any, model: Any, rows: Iterable[dict[str, Any]]) -> None:
    """By COPY, which takes a page in one go."""
    fields = model._meta.sorted_fields
    names = ", ".join(field.column_name for field in fields)
    new.leave_pipeline()
    with new.cursor().copy(f"COPY {model._meta.table_name} ({names}) FROM STDIN") as copying:
        for row in rows:
            copying.write_row([clean(row[field.name]) for field in fields])


def clean(value: Any) -> Any:
    """PostgreSQL has no room for a NUL, which a body in quarantine may have."""
    return value.replace("\0", "\u2400") if isinstance(value, str) else value


def draw_ids_after(new: Database) -> None:
    """Have the next ids come after those that were copied."""
    for model in TABLES:
        if "id" in model._meta.fields:
            table = model._meta.table_name
            execute(new, f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")


def compare(old: Database, new: Database) -> Moved:
    """Raises GatewayError where the stores do not have the same."""
    ledgers = [queries.read_ledger(db) for db in (old, new)]
    counts = [[model.select().count(db) for model in TABLES] for db in (old, new)]
    if ledgers[0] != ledgers[1] or counts[0] != counts[1]:
        raise GatewayError("the ledgers differ: the move is not complete; keep to the old store, and report this")
    return Moved(count_of(counts[1], Signals), count_of(counts[1], Deliveries))


def count_of(counts: Sequence[int], model: type[Model]) -> int:
    return counts[TABLES.index(model)]
