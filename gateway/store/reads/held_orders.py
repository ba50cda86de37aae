"""Lists the orders of held deliveries, for the sinks that may know them."""

from __future__ import annotations

from typing import Any

from peewee import Database, Select, Tuple

from gateway.store.rows import micros
from gateway.store.tables import IS_HELD, IS_PENDING, Deliveries, Signals


def list_held_accounts(db: Database, since: float) -> list[str]:
    """Return the accounts with deliveries held since then."""
    query = Deliveries.select(Deliveries.account).distinct().where(IS_PENDING, IS_HELD, *held_since(since))
    return [account for (account,) in query.order_by(Deliveries.account).tuples().execute(db)]


def list_held_orders(db: Database, account: str, since: float, after: str, limit: int) -> list[str]:
    """Return the references after `after` of an account's orders with deliveries held since then."""
    key = Tuple(Signals.account, Signals.id, Signals.received_at)
    same = key == Tuple(Deliveries.account, Deliveries.signal_id, Deliveries.received_at)
    # A subquery, not a join: the planner must begin with the held deliveries, and not with all signals.
    reference = Signals.select(Signals.order_reference).where(same).alias("reference")
    held = Deliveries.select(reference).where(IS_PENDING, IS_HELD, Deliveries.account == account, *held_since(since))
    query = Select([held], [held.c.reference]).where(held.c.reference > after).group_by(held.c.reference)
    return [found for (found,) in query.order_by(held.c.reference).limit(limit).tuples().execute(db)]


def held_since(since: float) -> list[Any]:
    """Return the condition on deliveries that were held then or later."""
    return [Deliveries.created_at >= micros(since)] if since else []
