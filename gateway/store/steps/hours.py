"""Counts by hour that a gateway makes while it serves, and reads of all counts by hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from peewee import Database

from gateway.store import order_tables as tables
from gateway.store.rows import clean, micros
from gateway.store.steps.orders import COUNT_SIGNALS, HOUR, run, upsert
from gateway.store.values import HourlyDeliveries, HourlySignals

COUNT_DELIVERIES = upsert(
    "hourly_deliveries",
    ("account", "route", "hour", "outcome", "number"),
    4,
    ["number = hourly_deliveries.number + excluded.number"],
)
NO_TYPE = ""
"""In place of the type: requests are counted by their answer, whether they were valid signals or not."""


class AddHours(NamedTuple):
    """Numbers to add to the hour of `now`; see `Orders.add_hourly_counts`."""

    answers: Mapping[tuple[str, str], int]
    outcomes: Mapping[tuple[str, str, str], int]
    now: float


def add_hours(db: Database, items: Sequence[AddHours]) -> list[None]:
    """Add numbers of answers and of attempts."""
    for item in items:
        hour = micros(item.now) // HOUR * HOUR
        answers = ([clean(account), hour, NO_TYPE, code, n] for (account, code), n in item.answers.items())
        run(db, COUNT_SIGNALS, answers)
        outcomes = ([account, route, hour, outcome, n] for (account, route, outcome), n in item.outcomes.items())
        run(db, COUNT_DELIVERIES, outcomes)
    return [None] * len(items)


# -- reads, on a reader's thread


def read_signals(db: Database, accounts: Sequence[str] | None, since: float, until: float) -> list[HourlySignals]:
    """Return numbers of signals by hour."""
    table = tables.HourlySignals
    rows = select(
        db, table, (table.hour, table.account, table.type, table.answer, table.number), accounts, since, until
    )
    return [HourlySignals(hour / 1e6, *rest) for hour, *rest in rows]


def read_deliveries(db: Database, accounts: Sequence[str] | None, since: float, until: float) -> list[HourlyDeliveries]:
    """Return numbers of attempts by hour."""
    table = tables.HourlyDeliveries
    fields = (table.hour, table.account, table.route, table.outcome, table.number)
    return [HourlyDeliveries(hour / 1e6, *rest) for hour, *rest in select(db, table, fields, accounts, since, until)]


def select(
    db: Database, table: Any, fields: Sequence[Any], accounts: Sequence[str] | None, since: float, until: float
) -> list[Any]:
    """Return rows of these hours, in the order of their fields."""
    query = table.select(*fields).where(table.hour >= micros(since), table.hour < micros(until))
    if accounts is not None:
        query = query.where(table.account.in_(list(accounts)))
    return list(query.order_by(*fields).tuples().execute(db))
