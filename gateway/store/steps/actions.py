"""Records the actions of people and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from peewee import Database

from gateway.store.rows import clean, dumps, micros
from gateway.store.tables import Actions
from gateway.store.values import Actor


class RecordAction(NamedTuple):
    """An action to record: time, actor, name and details."""

    now: float
    actor: Actor
    action: str
    detail: Mapping[str, object]


def record_actions(db: Database, items: Sequence[RecordAction]) -> list[None]:
    """Record actions that leave no other trace in the store."""
    for item in items:
        record_action(db, *item)
    return [None] * len(items)


def record_action(db: Database, now: float, actor: Actor, action: str, detail: Mapping[str, object]) -> None:
    """Record one action, and the account that its detail names."""
    account = detail.get("account")
    row = {
        "at": micros(now),
        "actor": clean(actor.name),
        "origin": actor.origin,
        "action": action,
        "detail": dumps(detail),
        "account": account if isinstance(account, str) else None,
    }
    Actions.insert(row).execute(db)
