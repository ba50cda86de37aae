"""Lists rows: signals, deliveries, attempts, quarantined requests, actions, route states and sink state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import orjson
from peewee import Database, Tuple, fn

from gateway import exact_json
from gateway.model import Attempt, Kind, RouteKey, Signal
from gateway.store.reads.filters import between, of_deliveries, of_signals, received, valid_ids, visible
from gateway.store.rows import SIGNAL_COLUMNS, make_signal, seconds
from gateway.store.tables import DELIVERY_COLUMNS, Actions, Attempts, Deliveries, Quarantine, Routes, Signals, SinkState
from gateway.store.values import Action, DeliveryRow, Filter, QuarantineRow, RouteState, SignalRow

# -- signals


def list_signals(db: Database, which: Filter, limit: int) -> list[SignalRow]:
    """Return signals, newest first."""
    query = Signals.select(*signal_columns(), Signals.deliveries, Signals.unrouted)
    rows = matching(query, which).order_by(Signals.id.desc()).limit(limit).tuples().execute(db)
    return [make_signal_row(row) for row in rows]


def list_signals_after(db: Database, which: Filter, after: int, limit: int) -> list[Signal]:
    """Return signals with ids above `after`, in the order of their ids."""
    query = matching(Signals.select(*signal_columns()), which).where(Signals.id > after)
    return [make_signal(row) for row in query.order_by(Signals.id).limit(limit).tuples().execute(db)]


def count_signals(db: Database, which: Filter) -> int:
    """Return how many signals match."""
    count: int = matching(Signals.select(fn.COUNT(Signals.id)), which).scalar(db)
    return count


def signal_columns() -> list[Any]:
    """Return the columns that `make_signal` reads."""
    return [getattr(Signals, name) for name in SIGNAL_COLUMNS]


def matching(query: Any, which: Filter) -> Any:
    """Narrow a query of signals to the filter."""
    if terms := of_signals(which):
        query = query.where(*terms)
    if which.route is not None or which.state is not None:
        query = query.where(Signals.id.in_(Deliveries.select(Deliveries.signal_id).where(*of_deliveries(which))))
    return query


def make_signal_row(row: Sequence[Any]) -> SignalRow:
    """Build a listed signal from the columns of `list_signals`."""
    *signal, deliveries, unrouted = row
    return SignalRow(make_signal(signal), deliveries, tuple(orjson.loads(unrouted)) if unrouted else ())


# -- deliveries


def list_deliveries(db: Database, which: Filter, limit: int) -> list[DeliveryRow]:
    """Return deliveries, newest first."""
    query = select_deliveries(Deliveries)
    if terms := of_deliveries(which):
        query = query.where(*terms)
    rows = query.order_by(Deliveries.signal_id.desc(), Deliveries.route).limit(limit).dicts().execute(db)
    return [make_delivery_row(row) for row in rows]


def find_heads(db: Database, signal_id: int) -> dict[str, DeliveryRow]:
    """Return the heads of the lanes in which a signal's deliveries wait, by route."""
    head = Deliveries.alias("head")
    lane = (Deliveries.account == head.account) & (Deliveries.route == head.route) & (Deliveries.lane == head.lane)
    waits = Deliveries.due_at.is_null() & (Deliveries.held == 0) & (Deliveries.state == "pending")
    query = select_deliveries(head).join(Deliveries, on=lane)
    query = query.where(Deliveries.signal_id == signal_id, waits, head.state == "pending", head.due_at.is_null(False))
    return {row.route: row for row in map(make_delivery_row, query.dicts().execute(db))}


LISTED_COLUMNS = tuple(name for name in DELIVERY_COLUMNS if name not in ("lease", "received_at"))
"""Columns of a listed delivery: a field of DeliveryRow each."""


OF_SIGNAL = {"late": "late", "type": "type", "order": "order_id", "order_reference": "order_reference", "item": "item"}
"""Fields of DeliveryRow that belong to its signal, and their columns there."""


def select_deliveries(deliveries: Any) -> Any:
    """Select deliveries, or an alias of them, with the fields that belong to their signals."""
    key = (Signals.account, Signals.id, Signals.received_at)
    same = Tuple(*key) == Tuple(deliveries.account, deliveries.signal_id, deliveries.received_at)
    columns = [getattr(deliveries, name) for name in LISTED_COLUMNS]
    # Subqueries, not a join: the planner must begin with the deliveries, of which a few are asked for.
    others = [Signals.select(getattr(Signals, column)).where(same).alias(name) for name, column in OF_SIGNAL.items()]
    return deliveries.select(*columns, *others)


def make_delivery_row(row: dict[str, Any]) -> DeliveryRow:
    """Build a listed delivery from the columns of `select_deliveries`."""
    flags: dict[str, Any] = {name: bool(row.pop(name)) for name in ("held", "replayed", "late")}
    times: dict[str, Any] = {
        name: seconds(row.pop(name)) for name in ("created_at", "due_at", "leased_until", "ended_at")
    }
    return DeliveryRow(**row, **times, **flags)


def list_attempts(db: Database, signal_id: int) -> dict[str, list[Attempt]]:
    """Return the failed attempts of a signal's deliveries by route, in order."""
    rows = Attempts.select().where(Attempts.signal_id == signal_id).order_by(Attempts.id).dicts().execute(db)
    attempts: defaultdict[str, list[Attempt]] = defaultdict(list)
    for row in rows:
        started, duration = row["started_at"] / 1e6, row["duration"] / 1e6
        attempts[row["route"]].append(Attempt(row["number"], started, duration, Kind(row["kind"]), row["reason"]))
    return dict(attempts)


# -- quarantine


def list_quarantined(db: Database, which: Filter, limit: int) -> list[QuarantineRow]:
    """Return quarantined requests, newest first."""
    query = in_quarantine(which).order_by(Quarantine.id.desc()).limit(limit)
    return [make_quarantine_row(row) for row in query.dicts().execute(db)]


def list_quarantined_oldest(db: Database, which: Filter, limit: int) -> list[QuarantineRow]:
    """Return quarantined requests, oldest first."""
    query = in_quarantine(which).order_by(Quarantine.id).limit(limit)
    return [make_quarantine_row(row) for row in query.dicts().execute(db)]


def in_quarantine(which: Filter) -> Any:
    """Select matching requests that were not accepted later."""
    terms = [Quarantine.accepted_at.is_null(), *between(Quarantine.id, which)]
    if which.ids is not None:
        terms.append(Quarantine.id.in_(valid_ids(which)))
    terms += visible(Quarantine.account, which)
    if which.account is not None:
        terms.append(Quarantine.account == which.account)
    if which.order is not None:
        terms.append(Quarantine.body.contains(which.order) | Quarantine.body.contains(as_json_text(which.order)))
    return Quarantine.select().where(*terms, *received(Quarantine.received_at, which))


def as_json_text(text: str) -> str:
    """Return a text as it stands within quotes in JSON."""
    return exact_json.dumps(text).decode()[1:-1]


def make_quarantine_row(row: dict[str, Any]) -> QuarantineRow:
    """Build a listed request from the table's columns."""
    errors = orjson.loads(row["errors"])
    return QuarantineRow(row["id"], row["account"], row["received_at"] / 1e6, row["body"], errors)


# -- routes, sink state, actions


def read_route_states(db: Database) -> dict[RouteKey, RouteState]:
    """Return the stored states of routes; routes without one are left out."""
    rows = Routes.select().dicts().execute(db)
    return {(row["account"], row["route"]): make_route_state(row) for row in rows}


def make_route_state(row: dict[str, Any]) -> RouteState:
    """Build a route's state from the table's columns."""
    paused_at, probe_at = seconds(row.pop("paused_at")), row.pop("probe_at") / 1e6
    return RouteState(**row, probe_at=probe_at, paused_at=paused_at, paused=paused_at is not None)


def read_sink_state(db: Database, account: str, route: str) -> dict[str, Any]:
    """Return a route's keys and values."""
    query = SinkState.select(SinkState.key, SinkState.value)
    rows = query.where(SinkState.account == account, SinkState.route == route).tuples().execute(db)
    return {key: exact_json.loads(value) for key, value in rows}


def list_actions(db: Database, action: str | None, which: Filter, limit: int) -> list[Action]:
    """Return recorded actions, newest first. Of the filter, `account`, `accounts` and the bounds of ids count."""
    terms = [*visible(Actions.account, which), *between(Actions.id, which)]
    asked: dict[Any, Any] = {Actions.action: action, Actions.account: which.account}
    terms += [field == value for field, value in asked.items() if value is not None]
    query = Actions.select().where(*terms) if terms else Actions.select()
    rows = query.order_by(Actions.id.desc()).limit(limit).dicts().execute(db)
    return [Action(**{**row, "at": row["at"] / 1e6, "detail": orjson.loads(row["detail"])}) for row in rows]
