"""Ends leases of deliveries that their gateway does not start after all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from peewee import Database

from gateway.store.tables import IS_PENDING, Deliveries


class Release(NamedTuple):
    """Leases to end, each as account, signal id, route and lease."""

    leases: Sequence[tuple[str, int, str, str]]


def release_claims(db: Database, items: Sequence[Release]) -> list[int]:
    """End leases that are still their owner's; answer each with the number of leases ended."""
    return [sum(release_one(db, *lease) for lease in item.leases) for item in items]


def release_one(db: Database, account: str, signal_id: int, route: str, lease: str) -> int:
    query = Deliveries.update(lease=None, leased_until=None).where(
        IS_PENDING,
        Deliveries.account == account,
        Deliveries.signal_id == signal_id,
        Deliveries.route == route,
        Deliveries.lease == lease,
    )
    changed: int = query.execute(db)
    return changed
