"""Time partitions on PostgreSQL: signals, ended deliveries and attempts are partitioned by time of receipt.

Old rows are removed by dropping their partition's tables, and not row by row. Pending deliveries are in a partition
of their own, whatever their age.

A partition begins and ends at midnight, UTC. It spans an eighth of the retention, but at least a day. So there are nine
or ten partitions, and a row is removed at most an eighth and a day after its retention. Partitions are made ahead. Rows
without a partition for their time go to the default partition, and are purged row by row. That happens if a clock
jumped, or if no gateway has made the partition yet. If the default partition already has rows of a day, no partition is
created for that day.

Dropping a partition takes one transaction, so that the ledger stays balanced. Signals that must stay are moved to the
default partition before. All gateways wait meanwhile, for milliseconds: indexes find the signals that must stay, and a
partition with too many of them is left as it is.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from peewee import Database, OperationalError, fn

from gateway.errors import StoreError
from gateway.store.failures import original
from gateway.store.postgres.order_locks import ALL_ORDERS
from gateway.store.rows import micros
from gateway.store.statements import execute
from gateway.store.tables import Attempts, DefaultSignals, Deliveries, Signals, columns_of
from gateway.store.values import DroppedPartition

DAY = 86_400_000_000
"""Microseconds."""
MADE_AHEAD = 2 * DAY
"""Microseconds for which partitions exist beforehand: a long reader may keep us from making one for some time."""
PARTITIONS_PER_RETENTION = 8
"""More partitions remove old rows sooner, but each is another index to look into."""
MAINTENANCE_LOCK = 0x6B65_6570_696E_6721
"""Number of the advisory lock of the process that makes or drops partitions; "keeping!"."""
LOCK_TIMEOUT = "500ms"
"""Time that we wait for a table's lock. While we wait for a reader, everybody else waits behind us."""
STATEMENT_TIMEOUT = "5s"
"""Time of each of our statements, for which others wait: creating a partition scans the default partition."""
TIMED_OUT = ("55P03", "57014")
"""PostgreSQL's codes of a lock and of a statement that took too long."""
MAX_KEPT_SIGNALS = 5000
"""Signals that may stay of a dropped partition. Moving them takes some tenths of a second, for which all wait."""
PARTITIONED = {
    "signals": ("signals", "PRIMARY KEY (id, account), UNIQUE (account, occurred_at, identity)"),
    "deliveries": ("deliveries_ended", "PRIMARY KEY (signal_id, route, account)"),
    "attempts": ("attempts", "PRIMARY KEY (id, account)"),
}
"""Prefix of the names of a partition's tables, with the table that each is a partition of, and its own keys."""
MODELS = {"signals": (Signals, "id"), "deliveries": (Deliveries, "signal_id"), "attempts": (Attempts, "signal_id")}

# Example rows teach the planner that few signals are of one order, and many of one account. Without statistics it may
# take the index by account to find an order, and stay with this plan for a minute, in which the table grows by 100,000
# rows. The rows are removed before anybody can see them.
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

# Signals that stay for a delivery that is pending, that ended recently (a replay), or that is a dead letter. Each
# SELECT uses an index: a delivery that ended recently took a day or longer, because the partition ended a day before.
KEPT = f"""
SELECT signal_id FROM deliveries_pending
WHERE signal_id BETWEEN (SELECT min(id) FROM signals_{{name}}) AND (SELECT max(id) FROM signals_{{name}})
  AND received_at >= {{first}} AND received_at < {{end}}
UNION
SELECT signal_id FROM deliveries_{{name}} WHERE ended_at - received_at >= {DAY} AND ended_at >= %s
UNION
SELECT signal_id FROM deliveries_{{name}} WHERE state = 'dead' AND NOT %s
LIMIT %s
"""


class Partition(NamedTuple):
    """Signals received from `first` (inclusive) to `end` (exclusive), in microseconds."""

    first: int
    end: int

    @property
    def name(self) -> str:
        """Return the suffix of the tables' names."""
        return f"{datetime.fromtimestamp(self.first / 1e6, UTC):%Y%m%d}"


def list_partitions(db: Database) -> list[Partition]:
    """Return all in order, without the default partition."""
    # Race: pg_get_expr gives NULL for a partition that another gateway drops between the two reads of the catalogue.
    found = (RANGE.fullmatch(bounds) for _, bounds in execute(db, BOUNDS) if bounds is not None)
    return sorted(Partition(int(bounds[1]), int(bounds[2])) for bounds in found if bounds)


def width_of(retention: float) -> int:
    """Return the length of a new partition in microseconds: whole days."""
    return max(1, -(-micros(retention) // (PARTITIONS_PER_RETENTION * DAY))) * DAY


# -- making


def make_partitions(db: Database, since: float, now: float, retention: float) -> list[Partition]:
    """Make the missing partitions from `since` to MADE_AHEAD after `now`, and return them.

    Raises StoreError if others keep the tables busy.
    """
    first, until, width = micros(since), micros(now) + MADE_AHEAD, width_of(retention)
    if not list(find_gaps(list_partitions(db), first, until, width)):
        return []
    with maintenance(db):
        lock_tables(db)
        gaps = find_gaps(list_partitions(db), first, until, width)
        made = [free for gap in gaps if (free := cut_to_free_days(db, gap))]
        for partition in made:
            make_partition(db, partition)
        return made


def find_gaps(partitions: Iterable[Partition], since: int, until: int, width: int) -> Iterator[Partition]:
    """Yield the missing partitions, none longer than `width`."""
    at = since - since % DAY
    for partition in [*sorted(partitions), Partition(until + width, until + width)]:
        while at < min(partition.first, until):
            end = min(at + width, partition.first)
            yield Partition(at, end)
            at = end
        at = max(at, partition.end)


def cut_to_free_days(db: Database, partition: Partition) -> Partition | None:
    """Return the days of a new partition behind the last day with rows in the default partition."""
    within = (DefaultSignals.received_at >= partition.first, DefaultSignals.received_at < partition.end)
    last: int | None = DefaultSignals.select(fn.MAX(DefaultSignals.received_at)).where(*within).scalar(db)
    first = partition.first if last is None else last - last % DAY + DAY
    return Partition(first, partition.end) if first < partition.end else None


def make_partition(db: Database, partition: Partition) -> None:
    """Create the tables of a partition."""
    for name, (whole, keys) in PARTITIONED.items():
        bounds = f"FROM ({partition.first}) TO ({partition.end})"
        execute(db, f"CREATE TABLE {name}_{partition.name} PARTITION OF {whole} ({keys}) FOR VALUES {bounds}")
    show_examples(db, f"signals_{partition.name}", partition.first)


def show_examples(db: Database, table: str, received_at: int) -> None:
    """Give the planner statistics of a new table of signals; see EXAMPLES."""
    execute(db, EXAMPLES.format(table=table), received_at)
    execute(db, f"ANALYZE {table}")
    with db.atomic():  # a TRUNCATE in a savepoint leaves the statistics, as if the table had never been counted
        execute(db, f"TRUNCATE {table}")


# -- dropping


def list_old(db: Database, before: float) -> list[Partition]:
    """Return the partitions that ended a day before that time, or earlier."""
    return [partition for partition in list_partitions(db) if partition.end <= micros(before) - DAY]


def drop_partition(db: Database, partition: Partition, before: float, dead: bool) -> DroppedPartition | None:
    """Drop a partition, unless too many signals must stay. Return None if another gateway has just dropped it.

    Raises StoreError if others keep the tables busy.
    """
    with maintenance(db):
        if partition not in list_partitions(db):
            return None
        if len(find_kept(db, partition, before, dead)) > MAX_KEPT_SIGNALS:
            return describe(partition, 0, 0, None)
        signals, deliveries = (count_rows(db, f"{name}_{partition.name}") for name in ("signals", "deliveries"))
        lock_tables(db)
        kept = find_kept(db, partition, before, dead)
        if len(kept) > MAX_KEPT_SIGNALS:
            return describe(partition, 0, 0, None)
        stay = [drop_table(db, name, partition, kept) for name in PARTITIONED]
    return describe(partition, signals - stay[0], deliveries - stay[1], stay[0])


def find_kept(db: Database, partition: Partition, before: float, dead: bool) -> list[int]:
    """Return ids of signals that must stay, at most one more than MAX_KEPT_SIGNALS."""
    text = KEPT.format(name=partition.name, first=partition.first, end=partition.end)
    return [signal_id for (signal_id,) in execute(db, text, micros(before), dead, MAX_KEPT_SIGNALS + 1)]


def drop_table(db: Database, name: str, partition: Partition, kept: list[int]) -> int:
    """Drop one table of a partition, after moving its kept rows to the default partition. Return their number."""
    model, key = MODELS[name]
    table, whole = f"{name}_{partition.name}", PARTITIONED[name][0]
    columns = ", ".join(columns_of(model))
    execute(db, f"ALTER TABLE {whole} DETACH PARTITION {table}")
    moving = f"INSERT INTO {whole} ({columns}) SELECT {columns} FROM {table} WHERE {key} = ANY(%s) RETURNING 1"
    moved = len(execute(db, moving, kept))
    execute(db, f"DROP TABLE {table}")
    return moved


def count_rows(db: Database, table: str) -> int:
    """Return the number of a table's rows."""
    [(rows,)] = execute(db, f"SELECT count(*) FROM {table}")
    return int(rows)


def describe(partition: Partition, signals: int, deliveries: int, kept: int | None) -> DroppedPartition:
    """Return the partition's figures, with its bounds in seconds."""
    return DroppedPartition(partition.first / 1e6, partition.end / 1e6, signals, deliveries, kept)


# -- locks


@contextlib.contextmanager
def maintenance(db: Database) -> Iterator[None]:
    """Run the only transaction that makes or drops partitions. Raises StoreError if a lock took too long."""
    try:
        with db.atomic():
            execute(db, "SELECT set_config('lock_timeout', %s, true)", STATEMENT_TIMEOUT)
            execute(db, "SELECT pg_advisory_xact_lock(%s)", MAINTENANCE_LOCK)
            yield
    except OperationalError as error:
        if getattr(original(error), "sqlstate", None) in TIMED_OUT:
            raise StoreError("the tables are in use without a break; try again later") from error
        raise


def lock_tables(db: Database) -> None:
    """Lock the partitioned tables until the transaction's end. Everybody else waits, so the timeouts are short."""
    limits = "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)"
    execute(db, limits, LOCK_TIMEOUT, STATEMENT_TIMEOUT)
    # First the lock of accepts and results, then the tables in the order in which a claim locks them: no deadlock.
    execute(db, "SELECT pg_advisory_xact_lock(%s)", ALL_ORDERS)
    execute(db, "LOCK TABLE deliveries, signals, attempts IN ACCESS EXCLUSIVE MODE")
