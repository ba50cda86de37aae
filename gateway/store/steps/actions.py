"""Records the actions of people and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from peewee import Database

from gateway.store.rows import clean, dumps, micros
from gateway.store.tables import Actions


class RecordAction(NamedTuple):
    """An action to record: time, actor, name and details."""

    now: float
    actor: str
    action: str
    detail: Mapping[str, object]


def record_actions(db: Database, items: Sequence[RecordAction]) -> list[None]:
    """Record actions that leave no other trace in the store."""
    for item in items:
        record_action(db, *item)
    return [None] * len(items)


def record_action(db: Database, now: float, actor: str, action: str, detail: Mapping[str, object]) -> None:
    """Record one action."""
    Actions.insert(at=micros(now), actor=clean(actor), action=action, detail=dumps(detail)).execute(db)
