"""On PostgreSQL, what has come to rest is kept in parts by the time when its signal was received: a partition each of
signals, ended deliveries and attempts, of the same time. What is old goes as a part, whose tables are dropped, and not
row by row.

A part begins and ends at midnight, UTC. It spans an eighth of the retention, but a day at least: so there are nine or
ten of them, and what is removed was kept for an eighth and a day longer at the most. Parts are made ahead. What comes
when there is none for its time, by a clock that jumped or before a gateway has made one, goes to the default partition,
and later from there row by row. So the default partition never has what belongs to a part: where it has something of a
day, no part is made for that day any more.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from peewee import Database, OperationalError, fn

from gateway.errors import StoreError
from gateway.store.order_locks import SHARED
from gateway.store.rows import micros
from gateway.store.sql import execute, is_postgres
from gateway.store.tables import DefaultSignals
from gateway.store.writer import original

DAY = 86_400_000_000
AHEAD = 2 * DAY
"""For which there are parts beforehand, so that they need not be made the moment a long reader keeps us from it."""
SHARE = 8
"""Parts to a retention."""
KEEPING = 0x6B65_6570_696E_6721
"""The lock of who makes and drops parts; "keeping!"."""
PATIENCE = "500ms"
"""For which others wait at most while we wait for somebody who reads."""
AT_MOST = "5s"
"""For which each statement of ours has others wait at most: a new part has the default partition read through."""
GAVE_UP = ("55P03", "57014")
"""Codes of a lock and of a statement that took too long."""
OF_SIGNALS = {
    "signals": ("signals", "PRIMARY KEY (id, account), UNIQUE (account, occurred_at, identity)"),
    "deliveries": ("deliveries_ended", "PRIMARY KEY (signal_id, route, account)"),
    "attempts": ("attempts", "PRIMARY KEY (id, account)"),
}
"""What a part's tables are called, of which table each is a partition, and its own keys."""

# What the planner is to think of a part's signals from the beginning: that few are of an order, and many of an account.
# Of a table that it knows nothing about, it may take the index by account to find an order, and stay with it for a
# minute in which the table has grown by 100,000 rows. The rows are gone before anybody can see them.
EXAMPLES = """
INSERT INTO {table} (id, account, identity, occurred_at, type, order_id, order_reference, item, received_at, payload,
                     stage, deliveries, unrouted)
SELECT -n, n %% 3, md5(n::text), n, n %% 6, n / 6, n / 6, nullif(n %% 6, 0), %s, '', n %% 6, 1, ''
FROM generate_series(1, 1200) n
"""

BOUNDS = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'signals'::regclass
"""
RANGE = re.compile(r"FOR VALUES FROM \('(-?\d+)'\) TO \('(-?\d+)'\)")


class Partition(NamedTuple):
    """The signals received from `first` on and before `end`, in microseconds."""

    first: int
    end: int

    @property
    def name(self) -> str:
        """What the tables' names end in."""
        return f"{datetime.fromtimestamp(self.first / 1e6, UTC):%Y%m%d}"


def list_partitions(db: Database) -> list[Partition]:
    """In order; without the default."""
    found = (RANGE.fullmatch(bounds) for _, bounds in execute(db, BOUNDS)) if is_postgres(db) else ()
    return sorted(Partition(int(bounds[1]), int(bounds[2])) for bounds in found if bounds)


def width_of(retention: float) -> int:
    """How long a part is, in whole days."""
    return max(1, -(-micros(retention) // (SHARE * DAY))) * DAY


def make_partitions(db: Database, since: float, now: float, retention: float) -> list[Partition]:
    """See that there is a part for all times from `since` to soon after `now`; those made."""
    if not is_postgres(db):
        return []
    first, until, width = micros(since), micros(now) + AHEAD, width_of(retention)
    if not list(find_gaps(list_partitions(db), first, until, width)):
        return []
    with keeping(db):
        exclude(db)
        gaps = find_gaps(list_partitions(db), first, until, width)
        made = [free for gap in gaps if (free := without_default_rows(db, gap))]
        for part in made:
            make_partition(db, part)
        return made


def find_gaps(parts: Iterable[Partition], since: int, until: int, width: int) -> Iterator[Partition]:
    """The parts that lack, none longer than `width`."""
    at = since - since % DAY
    for part in [*sorted(parts), Partition(until + width, until + width)]:
        while at < min(part.first, until):
            end = min(at + width, part.first)
            yield Partition(at, end)
            at = end
        at = max(at, part.end)


def without_default_rows(db: Database, part: Partition) -> Partition | None:
    """What is left of a part's time behind what the default partition has of it."""
    within = (DefaultSignals.received_at >= part.first, DefaultSignals.received_at < part.end)
    last: int | None = DefaultSignals.select(fn.MAX(DefaultSignals.received_at)).where(*within).scalar(db)
    first = part.first if last is None else last - last % DAY + DAY
    return Partition(first, part.end) if first < part.end else None


def make_partition(db: Database, part: Partition) -> None:
    for name, (whole, keys) in OF_SIGNALS.items():
        bounds = f"FROM ({part.first}) TO ({part.end})"
        execute(db, f"CREATE TABLE {name}_{part.name} PARTITION OF {whole} ({keys}) FOR VALUES {bounds}")
    show_examples(db, f"signals_{part.name}", part.first)


def show_examples(db: Database, table: str, received_at: int) -> None:
    """Have the planner know a new table of signals as it will be."""
    execute(db, EXAMPLES.format(table=table), received_at)
    execute(db, f"ANALYZE {table}")
    with db.atomic():  # a savepoint, which makes it a table that was never looked at, and not one that is empty
        execute(db, f"TRUNCATE {table}")


@contextlib.contextmanager
def keeping(db: Database) -> Iterator[None]:
    """A transaction that is the only one to make or drop partitions. Raises StoreError where others kept it waiting."""
    try:
        with db.atomic():
            execute(db, "SELECT set_config('lock_timeout', %s, true)", AT_MOST)
            execute(db, "SELECT pg_advisory_xact_lock(%s)", KEEPING)
            yield
    except OperationalError as error:
        if getattr(original(error), "sqlstate", None) in GAVE_UP:
            raise StoreError("others are at work on the tables without a break; to be tried again") from error
        raise


def exclude(db: Database) -> None:
    """Have the tables to ourselves until the transaction's end. Who comes meanwhile waits, so we do not wait long."""
    limits = "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)"
    execute(db, limits, PATIENCE, AT_MOST)
    # First those who accept and record, then the tables in the order in which a claim takes them.
    execute(db, "SELECT pg_advisory_xact_lock(%s)", SHARED)
    execute(db, "LOCK TABLE deliveries, signals, attempts IN ACCESS EXCLUSIVE MODE")
