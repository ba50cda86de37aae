"""Turns a Filter into conditions of queries."""

from __future__ import annotations

from typing import Any

from peewee import Expression, Tuple

from gateway.store.rows import LARGEST_ID, micros
from gateway.store.tables import Deliveries, Signals
from gateway.store.values import Filter


def of_signals(which: Filter) -> list[Expression]:
    """Return the filter's conditions on a signal itself."""
    asked = {Signals.account: which.account, Signals.type: which.type}
    terms = [field == value for field, value in asked.items() if value is not None]
    terms += visible(Signals.account, which)
    if which.ids is not None:
        terms.append(Signals.id.in_(valid_ids(which)))
    terms += between(Signals.id, which)
    if which.order is not None:
        terms.append(Signals.id.in_(ids_of_order(which.order)))
    return [*terms, *received(Signals.received_at, which)]


def visible(field: Any, which: Filter) -> list[Expression]:
    """Return the condition that a row's account is one of those that the filter allows."""
    return [] if which.accounts is None else [field.in_(list(which.accounts))]


def received(field: Any, which: Filter) -> list[Expression]:
    """Return the conditions of the filter's time window."""
    terms = []
    if which.since is not None:
        terms.append(field >= micros(which.since))
    if which.until is not None:
        terms.append(field < micros(which.until))
    return terms


def ids_of_order(order: str) -> Any:
    """Select the ids of an order's signals. A union, because beside another term no planner uses both indexes."""
    ids = Signals.select(Signals.id)
    return ids.where(Signals.order_id == order) | ids.where(Signals.order_reference == order)


def of_deliveries(which: Filter) -> list[Expression]:
    """Return the filter's conditions on a delivery; on its signal only for columns that a delivery lacks."""
    asked = {Deliveries.account: which.account, Deliveries.route: which.route, Deliveries.state: which.state}
    terms = [field == value for field, value in asked.items() if value is not None]
    terms += visible(Deliveries.account, which)
    terms += between(Deliveries.signal_id, which)
    if which.beyond is not None:
        signal, later = cut(which.beyond.signal_id), Deliveries.route > which.beyond.route
        terms.append((Deliveries.signal_id < signal) | ((Deliveries.signal_id == signal) & later))
        terms.append(Deliveries.signal_id <= signal)
    if which.undelivered:
        terms.append(Deliveries.state != "delivered")
    if any(value is not None for value in (which.ids, which.type, which.order, which.since, which.until)):
        # With the account, which follows the id in PostgreSQL's key.
        keys = Signals.select(Signals.account, Signals.id).where(*of_signals(which))
        terms.append(Tuple(Deliveries.account, Deliveries.signal_id).in_(keys))
    return terms


def between(field: Any, which: Filter) -> list[Expression]:
    """Return the conditions of the filter's bounds of ids."""
    terms = []
    if which.after is not None:
        terms.append(field > cut(which.after))
    if which.upto is not None:
        terms.append(field <= cut(which.upto))
    return terms


def cut(number: int) -> int:
    """Return the nearest number that a database takes as an id, or -1."""
    return max(-1, min(number, LARGEST_ID))


def valid_ids(which: Filter) -> list[int]:
    """Return the filter's ids without numbers that no signal can have and no database takes."""
    return [number for number in which.ids or () if 0 < number <= LARGEST_ID]
