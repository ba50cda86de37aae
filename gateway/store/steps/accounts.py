"""Writes about accounts: the configuration in force, the last uses of keys, and the end of an account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from peewee import EXCLUDED, Database, chunked, fn

from gateway.store.rows import clean, dumps, micros
from gateway.store.statements import execute, is_postgres
from gateway.store.steps.actions import record_action
from gateway.store.steps.order_upkeep import forget_states
from gateway.store.steps.purge import lock_deliveries, of_signals
from gateway.store.tables import (
    Actions,
    Alerts,
    Attempts,
    Deliveries,
    InForce,
    KeyUses,
    KnownOrders,
    Quarantine,
    Replays,
    RouteOwners,
    Routes,
    Signals,
    SinkState,
)
from gateway.store.values import Actor, ConfigPart, Forgotten

ROWS_PER_STATEMENT = 200
"""Rows in one statement: both databases limit the number of values."""


class SaveInForce(NamedTuple):
    """The parts of the configuration in force."""

    parts: Sequence[ConfigPart]
    now: float


class RemoveInForce(NamedTuple):
    """An account that has left and whose rows another may have."""

    account: str
    now: float
    actor: Actor


class NoteKeyUses(NamedTuple):
    """Last uses of keys, by account and the key's mark."""

    uses: Mapping[tuple[str, str], float]


class Forget(NamedTuple):
    """A batch of an account's rows to remove; see `Accounts.forget`."""

    account: str
    limit: int
    now: float


# -- the configuration in force


def save_in_force(db: Database, items: Sequence[SaveInForce]) -> list[None]:
    """Replace the parts in force; accounts that are not among them are marked as left."""
    for item in items:
        names = {part.name for part in item.parts if part.kind == "account"}
        rows = InForce.select(InForce.name).where(InForce.kind == "account", InForce.left_at.is_null())
        left = sorted({name for (name,) in rows.tuples().execute(db)} - names)
        InForce.delete().where(InForce.kind != "account").execute(db)
        for some in chunked(left, ROWS_PER_STATEMENT):
            which = (InForce.kind == "account") & InForce.name.in_(some)
            InForce.update(left_at=micros(item.now)).where(which).execute(db)
        for parts in chunked(item.parts, ROWS_PER_STATEMENT):
            values = [(part.kind, clean(part.name), dumps(part.detail), None) for part in parts]
            insert = InForce.insert_many(values, [InForce.kind, InForce.name, InForce.detail, InForce.left_at])
            update = {InForce.detail: EXCLUDED.detail, InForce.left_at: None}
            insert.on_conflict(conflict_target=(InForce.kind, InForce.name), update=update).execute(db)
    return [None] * len(items)


def remove_in_force(db: Database, items: Sequence[RemoveInForce]) -> list[bool]:
    """Remove accounts that have left, and record the actions; answer each with False if there was none."""
    return [remove_one(db, item) for item in items]


def remove_one(db: Database, item: RemoveInForce) -> bool:
    """Remove one account that has left."""
    if not InForce.delete().where(InForce.kind == "account", InForce.name == item.account).execute(db):
        return False
    record_action(db, item.now, item.actor, "keep", {"account": item.account})
    return True


def note_key_uses(db: Database, items: Sequence[NoteKeyUses]) -> list[None]:
    """Save the last uses of keys, unless a later one is saved already."""
    table = KeyUses
    for item in items:
        for some in chunked(sorted(item.uses.items()), ROWS_PER_STATEMENT):
            rows = [(account, mark, micros(at)) for (account, mark), at in some]
            insert = table.insert_many(rows, [table.account, table.mark, table.used_at])
            insert.on_conflict(
                conflict_target=(table.account, table.mark),
                update={table.used_at: EXCLUDED.used_at},
                where=table.used_at < EXCLUDED.used_at,
            ).execute(db)
    return [None] * len(items)


# -- the end of an account


def forget(db: Database, items: Sequence[Forget]) -> list[Forgotten]:
    """Remove a batch of each account's rows."""
    if not is_postgres(db):
        execute(db, "PRAGMA secure_delete = ON")  # overwrite the removed rows in the file
    return [forget_batch(db, item) for item in items]


def forget_batch(db: Database, item: Forget) -> Forgotten:
    """Remove signals; if there are none, quarantined requests; then order states; then the rest."""
    page = Signals.select(Signals.id, Signals.received_at).where(Signals.account == item.account)
    if found := dict(page.order_by(Signals.id).limit(item.limit).tuples().execute(db)):
        return forget_signals(db, found)
    requests = Quarantine.select(Quarantine.id).where(Quarantine.account == item.account)
    if ids := [number for (number,) in requests.limit(item.limit).tuples().execute(db)]:
        return Forgotten(quarantined=Quarantine.delete().where(Quarantine.id.in_(ids)).execute(db))
    if forget_states(db, item.account, item.limit):
        return Forgotten()
    return forget_rest(db, item)


def forget_signals(db: Database, signals: Mapping[int, int]) -> Forgotten:
    """Remove signals (ids to times of receipt) with their deliveries and attempts."""
    if is_postgres(db):
        lock_deliveries(db, signals)
    of_these = of_signals(Deliveries.signal_id, signals)
    pending = Deliveries.select(fn.COUNT(Deliveries.signal_id)).where(of_these, Deliveries.state == "pending")
    number = int(pending.scalar(db))
    Attempts.delete().where(of_signals(Attempts.signal_id, signals)).execute(db)
    deliveries = Deliveries.delete().where(of_these).execute(db)
    removed = Signals.delete().where(of_signals(Signals.id, signals)).execute(db)
    return Forgotten(removed, deliveries, number)


def forget_rest(db: Database, item: Forget) -> Forgotten:
    """Remove what is left of an account."""
    orders = KnownOrders.delete().where(KnownOrders.account == item.account).execute(db)
    tables: tuple[Any, ...] = (SinkState, Routes, RouteOwners, KeyUses, Alerts, Replays)
    for table in tables:
        table.delete().where(table.account == item.account).execute(db)
    InForce.delete().where(InForce.kind == "account", InForce.name == item.account).execute(db)
    rows = Actions.select(Actions.id, Actions.detail).where(Actions.detail.contains(item.account)).tuples().execute(db)
    named = [found for found, detail in rows if orjson.loads(detail).get("account") == item.account]
    for some in chunked(named, ROWS_PER_STATEMENT):
        Actions.delete().where(Actions.id.in_(some)).execute(db)
    return Forgotten(orders=orders, done=True)


# -- reads, on a reader's thread


def read_in_force(db: Database) -> list[ConfigPart]:
    """Return the parts that were saved last, and the accounts that have left."""
    rows = InForce.select().order_by(InForce.kind, InForce.name).dicts().execute(db)
    return [
        ConfigPart(
            row["kind"],
            row["name"],
            orjson.loads(row["detail"]),
            None if row["left_at"] is None else row["left_at"] / 1e6,
        )
        for row in rows
    ]


def read_key_uses(db: Database) -> dict[tuple[str, str], float]:
    """Return the last use of each key."""
    rows = KeyUses.select(KeyUses.account, KeyUses.mark, KeyUses.used_at).tuples().execute(db)
    return {(account, mark): used_at / 1e6 for account, mark, used_at in rows}


def count_forget(db: Database, account: str) -> Forgotten:
    """Count an account's rows. It reads all of its deliveries."""
    state = Deliveries.select(Deliveries.state, fn.COUNT(Deliveries.signal_id)).where(Deliveries.account == account)
    states = dict(state.group_by(Deliveries.state).tuples().execute(db))
    return Forgotten(
        signals=count(db, Signals, account),
        deliveries=sum(states.values()),
        pending=states.get("pending", 0),
        quarantined=count(db, Quarantine, account),
        orders=count(db, KnownOrders, account),
    )


def count(db: Database, table: Any, account: str) -> int:
    return int(table.select(fn.COUNT(table.account)).where(table.account == account).scalar(db))
