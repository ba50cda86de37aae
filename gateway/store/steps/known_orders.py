"""Makes orders known to an account, and frees the deliveries that were held for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from peewee import Case, Database, chunked

from gateway.store.operations import Lane
from gateway.store.rows import micros
from gateway.store.tables import IS_HELD, IS_PENDING, Deliveries, KnownOrders, Signals
from gateway.store.values import MadeKnown

ORDERS_PER_STATEMENT = 500
"""Orders in one statement: both databases limit the number of values."""

PromoteHeads = Callable[[Database, Iterable[Lane], int], None]


class AddKnownOrders(NamedTuple):
    """Orders (ids or references) to make known."""

    account: str
    orders: Sequence[str]
    now: float


def add_known_orders(db: Database, items: Sequence[AddKnownOrders], promote_heads: PromoteHeads) -> list[MadeKnown]:
    """Make orders known; answer each with the numbers of new orders and of deliveries freed."""
    return [add_some(db, item, promote_heads) for item in items]


def add_some(db: Database, item: AddKnownOrders, promote_heads: PromoteHeads) -> MadeKnown:
    """Make one account's orders known."""
    new = 0
    freed: list[Lane] = []
    for some in chunked((ref for ref in item.orders if ref), ORDERS_PER_STATEMENT):
        rows = [(item.account, ref) for ref in some]
        query = KnownOrders.insert_many(rows, [KnownOrders.account, KnownOrders.ref]).on_conflict(action="nothing")
        new += len(list(query.returning(KnownOrders.ref).tuples().execute(db)))
        freed += free_held(db, item.account, some, micros(item.now))
    promote_heads(db, freed, micros(item.now))
    return MadeKnown(new, len(freed))


def free_held(db: Database, account: str, orders: Sequence[str], now: int) -> list[Lane]:
    """Free the deliveries of these orders as if made now: none has been tried, and the time to give up starts now.

    They are found by the orders' signals, not among all held deliveries, which may be many.
    """
    ids = Signals.select(Signals.id).where(Signals.account == account)
    of_orders = ids.where(Signals.order_id.in_(orders)) | ids.where(Signals.order_reference.in_(orders))
    due_at = Case(None, [(Deliveries.lane.is_null(), now)], None)
    query = Deliveries.update(held=0, created_at=now, due_at=due_at)
    query = query.where(IS_PENDING, IS_HELD, Deliveries.account == account, Deliveries.signal_id.in_(of_orders))
    return list(query.returning(Deliveries.account, Deliveries.route, Deliveries.lane).tuples().execute(db))
