"""Changes of one pending delivery by people: due now, or skipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from peewee import Database, fn

from gateway.store.rows import clean, micros
from gateway.store.steps.actions import record_action
from gateway.store.steps.known_orders import PromoteHeads
from gateway.store.tables import IS_PENDING, Deliveries, Routes
from gateway.store.values import Actor


class TryNow(NamedTuple):
    """A route to try now, with this delivery first. Without one, the next delivery that is due tries it."""

    account: str
    route: str
    signal_id: int | None
    now: float
    action: str
    actor: Actor


class Skip(NamedTuple):
    """A pending delivery to end as filtered."""

    account: str
    route: str
    signal_id: int
    now: float
    why: str
    actor: Actor


def try_now(db: Database, items: Sequence[TryNow]) -> list[bool]:
    """Make deliveries due, and a resting route's probe; answer False if a delivery can't be claimed now."""
    return [try_one(db, item) for item in items]


def try_one(db: Database, item: TryNow) -> bool:
    if item.signal_id is not None and not make_first(db, item, item.signal_id):
        return False
    # The dispatcher takes 0 for a person's wish: it writes no such time itself.
    resting = (Routes.account == item.account) & (Routes.route == item.route) & (Routes.reason != "")
    Routes.update(probe_at=0).where(resting).execute(db)
    detail = {"account": item.account, "route": item.route, "signal": item.signal_id}
    record_action(db, item.now, item.actor, item.action, {k: v for k, v in detail.items() if v is not None})
    return True


def make_first(db: Database, item: TryNow, signal_id: int) -> bool:
    """Make the head of a lane due before all others of its route. Return False if it is no head, or is leased."""
    now = micros(item.now)
    of_route = (IS_PENDING, Deliveries.account == item.account, Deliveries.route == item.route)
    earliest = Deliveries.select(fn.MIN(Deliveries.due_at)).where(*of_route).scalar(db)
    query = Deliveries.update(due_at=min(now, earliest or now) - 1).where(
        *of_route, Deliveries.signal_id == signal_id, Deliveries.due_at.is_null(False), is_free(now)
    )
    changed: int = query.execute(db)
    return bool(changed)


def is_free(now: int) -> Any:
    """Return the condition that no gateway has the delivery in hand."""
    return Deliveries.lease.is_null() | (Deliveries.leased_until <= now)


def skip_deliveries(db: Database, items: Sequence[Skip], promote_heads: PromoteHeads) -> list[bool]:
    """End pending deliveries as filtered; answer False for one that is not pending, or is leased."""
    return [skip_one(db, item, promote_heads) for item in items]


def skip_one(db: Database, item: Skip, promote_heads: PromoteHeads) -> bool:
    # DELETE and INSERT, because an UPDATE that moves a row to another partition of PostgreSQL fails concurrent claims.
    now = micros(item.now)
    query = Deliveries.delete().where(
        IS_PENDING,
        Deliveries.account == item.account,
        Deliveries.route == item.route,
        Deliveries.signal_id == item.signal_id,
        is_free(now),
    )
    rows = list(query.returning(Deliveries).dicts().execute(db))
    if not rows:
        return False
    (row,) = rows
    reason = clean(f"skipped by {item.actor.name}{': ' if item.why else ''}{item.why}")
    ended = {"state": "filtered", "ended_at": now, "reason": reason, "held": 0}
    Deliveries.insert(row | ended | dict.fromkeys(("due_at", "lease", "leased_until"))).execute(db)
    promote_heads(db, [(item.account, item.route, row["lane"])], now)
    detail = {"account": item.account, "route": item.route, "signal": item.signal_id, "why": clean(item.why)}
    record_action(db, item.now, item.actor, "skip", detail)
    return True
