"""How a part of the store goes whose time has passed: its tables are dropped, whatever is in them, in one transaction,
so that the ledger stays even. What must stay is moved to the default partition before, a whole signal at a time, and
goes from there row by row once it is done with; what is pending is not in a part.

That all gateways wait meanwhile is a matter of milliseconds: what must stay is found by indexes, and it is little, or
the part is left as it is.
"""

from __future__ import annotations

from peewee import Database

from gateway.store import partitions
from gateway.store.partitions import DAY, OF_SIGNALS, Partition
from gateway.store.rows import micros
from gateway.store.sql import execute
from gateway.store.tables import Attempts, Deliveries, Signals
from gateway.store.values import DroppedPartition

MOST = 5000
"""Signals that may stay of a part that goes. To move them is some tenths of a second for which all wait."""
MODELS = {"signals": (Signals, "id"), "deliveries": (Deliveries, "signal_id"), "attempts": (Attempts, "signal_id")}

# The signals that stay for a delivery that is pending, that ended since (a replay), or that is a dead letter. An index
# has each: what ended since took a day or longer, as the part ended a day before.
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


def find_old(db: Database, before: float) -> list[Partition]:
    """Parts of which all was received a day before that time, or earlier."""
    return [part for part in partitions.list_partitions(db) if part.end <= micros(before) - DAY]


def drop_partition(db: Database, part: Partition, before: float, dead: bool) -> DroppedPartition | None:
    """Drop a part, unless too much must stay; None where another gateway just did. Raises StoreError where others are
    at work on the tables and do not end."""
    with partitions.keeping(db):
        if part not in partitions.list_partitions(db):
            return None
        if len(find_kept(db, part, before, dead)) > MOST:
            return dropped(part, 0, 0, None)
        signals, deliveries = (count(db, f"{name}_{part.name}") for name in ("signals", "deliveries"))
        partitions.exclude(db)
        kept = find_kept(db, part, before, dead)
        if len(kept) > MOST:
            return dropped(part, 0, 0, None)
        stay = [replace_table(db, name, part, kept) for name in OF_SIGNALS]
    return dropped(part, signals - stay[0], deliveries - stay[1], stay[0])


def find_kept(db: Database, part: Partition, before: float, dead: bool) -> list[int]:
    """The signals of a part that must stay; no more than it takes to leave the part."""
    text = KEPT.format(name=part.name, first=part.first, end=part.end)
    return [signal_id for (signal_id,) in execute(db, text, micros(before), dead, MOST + 1)]


def replace_table(db: Database, name: str, part: Partition, kept: list[int]) -> int:
    """Have the default partition take what stays of one of the part's tables, and drop that; how many rows stay."""
    model, key = MODELS[name]
    table, whole = f"{name}_{part.name}", OF_SIGNALS[name][0]
    columns = ", ".join(field.column_name for field in model._meta.sorted_fields)
    execute(db, f"ALTER TABLE {whole} DETACH PARTITION {table}")
    moving = f"INSERT INTO {whole} ({columns}) SELECT {columns} FROM {table} WHERE {key} = ANY(%s) RETURNING 1"
    moved = len(execute(db, moving, kept))
    execute(db, f"DROP TABLE {table}")
    return moved


def count(db: Database, table: str) -> int:
    [(rows,)] = execute(db, f"SELECT count(*) FROM {table}")
    return int(rows)


def dropped(part: Partition, signals: int, deliveries: int, kept: int | None) -> DroppedPartition:
    return DroppedPartition(part.first / 1e6, part.end / 1e6, signals, deliveries, kept)
