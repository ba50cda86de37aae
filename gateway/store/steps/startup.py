"""Repairs at the start of a gateway: leases of an earlier process, and due times of a wrong clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from peewee import Case, Database

from gateway.store.rows import micros
from gateway.store.tables import IS_PENDING, Deliveries


class ReleaseLeases(NamedTuple):
    """Argument of release_leases: a later due time becomes `now`."""

    now: float


class ResetDueTimes(NamedTuple):
    """Deliveries due after `latest` are due now instead."""

    now: float
    latest: float


def release_leases(db: Database, items: Sequence[ReleaseLeases]) -> list[int]:
    """End all leases; answer each with the number of leases ended."""
    return [release_all(db, micros(item.now)) for item in items]


def release_all(db: Database, now: int) -> int:
    due_at = Case(None, [(Deliveries.due_at < now, Deliveries.due_at)], now)
    query = Deliveries.update(due_at=due_at, lease=None, leased_until=None)
    changed: int = query.where(IS_PENDING, Deliveries.due_at.is_null(False), Deliveries.lease.is_null(False)).execute(
        db
    )
    return changed


def reset_due_times(db: Database, items: Sequence[ResetDueTimes]) -> list[int]:
    """Reset due times that only a wrong clock can have set; answer each with the number of deliveries changed."""
    return [reset_all(db, micros(item.now), micros(item.latest)) for item in items]


def reset_all(db: Database, now: int, latest: int) -> int:
    query = Deliveries.update(due_at=now).where(IS_PENDING, Deliveries.due_at > latest, Deliveries.lease.is_null())
    changed: int = query.execute(db)
    return changed
