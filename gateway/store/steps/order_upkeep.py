"""Upkeep of order states: made anew from the signals, purged, and forgotten with their account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from peewee import Database, Tuple, fn

from gateway.order_state import Key, State, fold
from gateway.signal_types import GATEWAY_ALERT
from gateway.store.operations import Step
from gateway.store.order_tables import AccountActivity, HourlyDeliveries, HourlySignals, OrderStates, OrderTracking
from gateway.store.reads.orders import read_place, read_signals_of, state_row
from gateway.store.rows import micros
from gateway.store.statements import execute, is_postgres
from gateway.store.steps.orders import (
    ACCEPTED,
    COUNT_SIGNALS,
    HOUR,
    NOTE_ACTIVITY,
    WRITE_STATES,
    WRITE_TRACKING,
    advance,
    has_version,
    run,
    tracking_rows,
)
from gateway.store.tables import Signals

OrderName = tuple[str, str]
"""An order's id and its account."""
NEXT_ACCOUNT = "SELECT min(account) FROM signals WHERE account > {0}"
COUNT_HOURS = f"""
SELECT received_at / {HOUR} * {HOUR} AS hour, type, count(*), min(received_at), max(received_at)
FROM signals WHERE account = {{0}} AND id <= {{0}} GROUP BY received_at / {HOUR} * {HOUR}, type
"""


class RebuiltStates(NamedTuple):
    """States of whole orders, made anew as of a version of the follower."""

    version: int
    orders: Sequence[OrderName]
    states: Sequence[State]


class RebuiltCounts(NamedTuple):
    """An account's hours, each as beginning, type, number, first and last receipt, as of a version of the follower."""

    version: int
    account: str
    hours: Sequence[tuple[int, str, int, int, int]]


class PurgeStates(NamedTuple):
    """Orders without signals that were seen last before a time, at most `limit`; and hours before it."""

    before: float
    limit: int


def run_apart(db: Database, step: Step, item: Any) -> Any:
    """Run a step for one operation in a transaction of its own."""
    with db.atomic():
        answers = step(db, [item])
    return (answers() if callable(answers) else answers)[0]


# -- made anew


def rebuild_states(db: Database, after: OrderName, limit: int) -> RebuiltStates:
    """Make the states of the next orders from the signals that the follower has added already."""
    place = read_place(db)
    key = (Signals.order_id, Signals.account)
    query = Signals.select(*key).distinct().where(Signals.order_id != "", Tuple(*key) > Tuple(*after))
    orders = list(query.order_by(*key).limit(limit).tuples().execute(db))
    states: dict[Key, State] = {}
    for page in read_signals_of(db, orders, place.position):
        states |= fold(states, (signal.event for signal in page if signal.event.type != GATEWAY_ALERT))
    return RebuiltStates(place.version, orders, list(states.values()))


def replace_states(db: Database, items: Sequence[RebuiltStates]) -> list[bool]:
    """Replace the states of whole orders; answer False, and write nothing, if the follower went on meanwhile."""
    return [replace_orders(db, item) for item in items]


def replace_orders(db: Database, item: RebuiltStates) -> bool:
    """Replace the states of some orders."""
    if not advance(db, has_version(item.version)):
        return False
    remove_orders(db, item.orders)
    run(db, WRITE_STATES, map(state_row, item.states))
    run(db, WRITE_TRACKING, tracking_rows(item.states))
    return True


def rebuild_counts(db: Database, after: str) -> RebuiltCounts | None:
    """Count the hours of the next account; None if there is no other."""
    mark = "%s" if is_postgres(db) else "?"
    place = read_place(db)
    [(account,)] = execute(db, NEXT_ACCOUNT.format(mark), after)
    if account is None:
        return None
    return RebuiltCounts(place.version, account, execute(db, COUNT_HOURS.format(mark), account, place.position))


def replace_counts(db: Database, items: Sequence[RebuiltCounts]) -> list[bool]:
    """Replace an account's hours; answer False, and write nothing, if the follower went on meanwhile."""
    return [replace_hours(db, item) for item in items]


def replace_hours(db: Database, item: RebuiltCounts) -> bool:
    """Replace the hours of one account since its first signal: earlier ones count signals that were purged."""
    if not advance(db, has_version(item.version)):
        return False
    table = HourlySignals
    first = min((hour for hour, *_ in item.hours), default=None)
    if first is not None:
        which = (table.account == item.account, table.answer == ACCEPTED, table.hour >= first)
        table.delete().where(*which).execute(db)
    run(db, COUNT_SIGNALS, ([item.account, hour, kind, ACCEPTED, n] for hour, kind, n, *_ in item.hours))
    sent = [row for row in item.hours if row[1] != GATEWAY_ALERT]
    if sent:
        # Added 0 times: the number of all signals ever is kept, also of those that were purged.
        run(db, NOTE_ACTIVITY, [[item.account, min(row[3] for row in sent), max(row[4] for row in sent), 0]])
    return True


# -- removal


def remove_orders(db: Database, orders: Iterable[OrderName]) -> None:
    """Remove orders with their items and tracking numbers."""
    for order, account in orders:
        OrderStates.delete().where(OrderStates.order_id == order, OrderStates.account == account).execute(db)
        OrderTracking.delete().where(OrderTracking.order_id == order, OrderTracking.account == account).execute(db)


def purge_states(db: Database, items: Sequence[PurgeStates]) -> list[int]:
    """Purge old orders and hours; answer each with the number of rows removed."""
    return [purge_some(db, item) for item in items]


def purge_some(db: Database, item: PurgeStates) -> int:
    """Purge some old orders that have no signal left; then some old hours."""
    before, table = micros(item.before), OrderStates
    signals = Signals.select(1).where(Signals.order_id == table.order_id, Signals.account == table.account)
    old = table.select(table.order_id, table.account).where(table.item == "", table.last_seen < before)
    orders = list(old.where(~fn.EXISTS(signals)).order_by(table.last_seen).limit(item.limit).tuples().execute(db))
    if orders:
        advance(db)
        remove_orders(db, orders)
        return len(orders)
    return sum(purge_hours(db, table, before) for table in (HourlySignals, HourlyDeliveries))


def purge_hours(db: Database, table: Any, before: int) -> int:
    """Purge the hours of one old beginning."""
    first = table.select(fn.MIN(table.hour)).scalar(db)
    if first is None or first >= before - HOUR:
        return 0
    return int(table.delete().where(table.hour == first).execute(db))


def forget_states(db: Database, account: str, limit: int) -> int:
    """Remove some of an account's orders; once there are none, its counts. Return the number of orders removed."""
    advance(db)
    table = OrderStates
    rows = table.select(table.order_id, table.account).where(table.account == account).limit(limit)
    orders = set(rows.tuples().execute(db))
    remove_orders(db, orders)
    if not orders:
        others: tuple[Any, ...] = (OrderTracking, AccountActivity, HourlySignals, HourlyDeliveries)
        for other in others:
            other.delete().where(other.account == account).execute(db)
    return len(orders)
