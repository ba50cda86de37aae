"""Lists and finds orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peewee import Database, Tuple, fn

from gateway.order_state import FINISHED, NEVER, OrderState
from gateway.store.order_tables import OrderStates, OrderTracking
from gateway.store.reads.orders import make_state
from gateway.store.rows import clean, micros
from gateway.store.tables import Signals
from gateway.store.values import OrderFilter


def list_orders(
    db: Database, which: OrderFilter, limit: int, after: tuple[int, str, str] | None = None
) -> list[OrderState]:
    """Return orders, the ones with the latest signals first."""
    table = OrderStates
    order = (table.last_seen, table.account, table.order_id)
    query = table.select().where(*of_orders(which))
    if after is not None:
        query = query.where(Tuple(*order) < Tuple(*after))
    rows = query.order_by(*(field.desc() for field in order)).limit(limit).tuples().execute(db)
    return [state for state in map(make_state, rows) if isinstance(state, OrderState)]


def of_orders(which: OrderFilter) -> list[Any]:
    """Return the filter's conditions on an order's own row."""
    table = OrderStates
    terms: list[Any] = [table.item == ""]
    if which.accounts is not None:
        terms.append(table.account.in_(list(which.accounts)))
    if which.stages is not None:
        terms.append(table.stage.in_(list(which.stages)))
    if which.problems is not None:
        terms.append(table.problems > 0 if which.problems else table.problems == 0)
    if which.since is not None:
        terms.append(table.last_seen >= micros(which.since))
    if which.stuck_before is not None:
        terms.append(is_stuck(micros(which.stuck_before)))
    return terms


def is_stuck(before: int) -> Any:
    """Select orders with an item that waits since before that time.

    The order's own row need not be told apart: it has the stage of its least advanced item, and the latest time.
    """
    part = OrderStates.alias("part")
    waits = part.select(1).where(part.order_id == OrderStates.order_id, part.account == OrderStates.account)
    # What has no stage yet waits since its first signal.
    since = fn.COALESCE(fn.NULLIF(part.since, NEVER), part.first_seen)
    return fn.EXISTS(waits.where((part.stage < FINISHED) | (part.problems > 0), since < before))


def find_orders(db: Database, text: str, accounts: Sequence[str] | None, limit: int) -> list[tuple[str, str]]:
    """Return accounts and ids of orders by id, reference, item or tracking number."""
    name = clean(text)
    found: dict[tuple[str, str], None] = {}
    for table, field in (
        (OrderStates, OrderStates.order_id),
        (Signals, Signals.order_id),
        (Signals, Signals.order_reference),
        (OrderStates, OrderStates.item),
        (OrderTracking, OrderTracking.tracking),
    ):
        query = table.select(table.account, table.order_id).distinct().where(field == name, table.order_id != "")
        if field is OrderStates.item:
            query = query.where(OrderStates.item != "")  # the partial index is used only if its condition is seen
        if accounts is not None:
            query = query.where(table.account.in_(list(accounts)))
        found |= dict.fromkeys(query.limit(limit).tuples().execute(db))
    return list(found)[:limit]


def count_orders(db: Database) -> int:
    """Return the number of orders."""
    return int(OrderStates.select(fn.COUNT(OrderStates.order_id)).where(OrderStates.item == "").scalar(db))
