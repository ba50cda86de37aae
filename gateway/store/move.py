"""Copies a store from SQLite to PostgreSQL, in pages of signals.

Each page is a transaction, so that an interrupted move can go on. In the end both ledgers are compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from peewee import Database, Model, PeeweeException, fn

from gateway.errors import GatewayError, StoreError
from gateway.model import RouteKey
from gateway.store.contract import Settings
from gateway.store.failures import describe_failure
from gateway.store.migrations import open_schema
from gateway.store.postgres import partitions
from gateway.store.reads.pages import COUNT
from gateway.store.sqlite import open as sqlite
from gateway.store.statements import execute
from gateway.store.tables import TABLES, Attempts, Deliveries, Signals, columns_of

PAGE = 2000
"""Signals copied in one transaction."""
OF_SIGNALS: tuple[tuple[type[Model], Any], ...] = (
    (Signals, Signals.id),
    (Deliveries, Deliveries.signal_id),
    (Attempts, Attempts.signal_id),
)
"""Tables copied with their signals, and the column with the signal's id."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Rows in the new store."""

    signals: int
    deliveries: int


async def move_store(source: Settings, target: Settings, retention: float, tell: Callable[[int, int], None]) -> Moved:
    """Copy everything in `source` to `target`, a PostgreSQL that is empty or was begun from this source.

    Partitions are made for this retention (seconds). `tell` is called with the number of signals copied, and of all.
    Raises StoreInUse if a gateway serves from the source, GatewayError if the target has signals of its own or the
    ledgers differ in the end.
    """
    store = sqlite.open_sqlite(source, asyncio.get_running_loop(), exclusive=True)
    try:
        await store.verify()
        await store.release_leases(time.time())  # their owner is gone, and the target would wait for their ends
        return await asyncio.to_thread(copy, source, target, retention, tell)
    finally:
        await store.close()


def copy(source: Settings, target: Settings, retention: float, tell: Callable[[int, int], None]) -> Moved:
    """Copy on connections of its own, on the calling thread."""
    from gateway.store.postgres import open as postgres

    with contextlib.ExitStack() as opened:
        try:
            old = sqlite.connect(sqlite.path_of(source.url), sqlite.BUSY_TIMEOUT, sqlite.READER_PRAGMAS, opened)
            new = postgres.connect(postgres.parameters_of(target), target, opened)
            open_schema(new)
            make_partitions(old, new, retention)
            after = find_place(old, new)
            copy_others(old, new)
            copy_signals(old, new, after, tell)
            advance_ids(new)
            return compare(old, new)
        except PeeweeException as error:
            raise StoreError(f"the move was interrupted, and can be run again: {describe_failure(error)}") from error


def make_partitions(old: Database, new: Database, retention: float) -> None:
    """Make partitions for all rows that will be kept. Older rows are soon purged from the default partition."""
    first, now = Signals.select(fn.MIN(Signals.received_at)).scalar(old), time.time()
    if first is not None:
        oldest = now - retention - partitions.width_of(retention) / 1e6
        partitions.make_partitions(new, min(max(first / 1e6, oldest), now), now, retention)


def find_place(old: Database, new: Database) -> int:
    """Return the last signal that an earlier run has copied, 0 if there is none."""
    last = Signals.select(fn.MAX(Signals.id)).scalar(new)
    if last is None:
        return 0
    same = (Signals.account, Signals.identity, Signals.received_at)
    of_both = [Signals.select(*same).where(Signals.id == last).tuples().execute(db)[:] for db in (old, new)]
    if of_both[0] != of_both[1]:
        raise GatewayError("the database already has signals that are not from this store: name an empty one")
    return int(last)


def copy_others(old: Database, new: Database) -> None:
    """Copy the small tables, all but signals and their rows. An interrupted run copies them again."""
    for model in TABLES:
        if model not in (owner for owner, _ in OF_SIGNALS):
            with new.atomic():
                model.delete().execute(new)
                insert(new, model, model.select().dicts().execute(old))


def copy_signals(old: Database, new: Database, after: int, tell: Callable[[int, int], None]) -> None:
    """Copy signals above the id `after`, with their deliveries and attempts."""
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
    """Return the next ids of signals."""
    rows = Signals.select(Signals.id).where(Signals.id > after).order_by(Signals.id).limit(PAGE).tuples().execute(old)
    return [signal_id for (signal_id,) in rows]


def insert(new: Any, model: Any, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows by COPY, which takes a page in one go."""
    fields = model._meta.sorted_fields
    new.leave_pipeline()
    with new.cursor().copy(f"COPY {model._meta.table_name} ({', '.join(columns_of(model))}) FROM STDIN") as copying:
        for row in rows:
            copying.write_row([without_nul(row[field.name]) for field in fields])


def without_nul(value: Any) -> Any:
    """Replace NULs, which PostgreSQL can't store; a body in quarantine may have one."""
    return value.replace("\0", "\u2400") if isinstance(value, str) else value


def advance_ids(new: Database) -> None:
    """Let the next ids follow the copied ones."""
    for model in TABLES:
        if "id" in model._meta.fields:
            table = model._meta.table_name
            execute(new, f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")


# -- the comparison


def compare(old: Database, new: Database) -> Moved:
    """Return the figures of the new store. Raises GatewayError if the stores differ."""
    ledgers = [read_ledger(db) for db in (old, new)]
    counts = [[model.select().count(db) for model in TABLES] for db in (old, new)]
    if ledgers[0] != ledgers[1] or counts[0] != counts[1]:
        raise GatewayError("the ledgers differ: the move is not complete; keep to the old store, and report this")
    return Moved(count_of(counts[1], Signals), count_of(counts[1], Deliveries))


def count_of(counts: Sequence[int], model: type[Model]) -> int:
    """Return one table's count."""
    return counts[TABLES.index(model)]


def read_ledger(db: Database) -> Mapping[RouteKey, Counter[str]]:
    """Return the number of deliveries by state, and of signals that a route did not ask for, of each route."""
    ledger: defaultdict[RouteKey, Counter[str]] = defaultdict(Counter)
    states = (Deliveries.account, Deliveries.route, Deliveries.state)
    for account, route, state, count in Deliveries.select(*states, COUNT).group_by(*states).tuples().execute(db):
        ledger[account, route][state] += count
    lists = (Signals.account, Signals.unrouted)
    query = Signals.select(*lists, COUNT).where(Signals.unrouted != "").group_by(*lists)
    for account, unrouted, count in query.tuples().execute(db):
        for route in orjson.loads(unrouted):
            ledger[account, route]["unrouted"] += count
    return dict(ledger)
