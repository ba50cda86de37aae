"""What is read, each on one connection and in one snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import orjson
from peewee import SQL, Database, Expression, Tuple, fn

from gateway.model import Attempt, Kind, Signal
from gateway.store import sql
from gateway.store.rows import SIGNAL_COLUMNS, dumps, make_signal, micros, seconds
from gateway.store.tables import Actions, Attempts, Deliveries, Quarantine, Routes, Signals, SinkState
from gateway.store.values import STATES, Action, Backlog, DeliveryRow, Filter, QuarantineRow, RouteState, SignalRow

NEWEST = 2**63 - 1
"""Above any signal's id."""
ALL = SQL("*")


# -- which rows


def of_signals(which: Filter) -> list[Expression]:
    """What the filter asks of a signal itself."""
    asked = {Signals.account: which.account, Signals.type: which.type}
    terms = [field == value for field, value in asked.items() if value is not None]
    if which.ids is not None:
        terms.append(Signals.id.in_(ids_of(which)))
    terms += between(Signals.id, which)
    if which.order is not None:
        terms.append(Signals.id.in_(of_order(which.order)))
    return [*terms, *received(Signals.received_at, which)]


def received(field: Any, which: Filter) -> list[Expression]:
    """The filter's time window."""
    terms = []
    if which.since is not None:
        terms.append(field >= micros(which.since))
    if which.until is not None:
        terms.append(field < micros(which.until))
    return terms


def of_order(order: str) -> Any:
    """The ids of an order's signals. A union, since the planner would not use both indexes beside another term."""
    ids = Signals.select(Signals.id)
    return ids.where(Signals.order_id == order) | ids.where(Signals.order_reference == order)


def of_deliveries(which: Filter) -> list[Expression]:
    """What the filter asks of a delivery; of its signal only where a delivery does not know it."""
    asked = {Deliveries.account: which.account, Deliveries.route: which.route, Deliveries.state: which.state}
    terms = [field == value for field, value in asked.items() if value is not None]
    terms += between(Deliveries.signal_id, which)
    if any(value is not None for value in (which.ids, which.type, which.order, which.since, which.until)):
        # With the account, which the ids go by in the key.
        keys = Signals.select(Signals.account, Signals.id).where(*of_signals(which))
        terms.append(Tuple(Deliveries.account, Deliveries.signal_id).in_(keys))
    return terms


def between(field: Any, which: Filter) -> list[Expression]:
    """Ids as the filter bounds them, cut to what a database takes."""
    terms = []
    if which.after is not None:
        terms.append(field > max(-1, min(which.after, NEWEST)))
    if which.upto is not None:
        terms.append(field <= max(-1, min(which.upto, NEWEST)))
    return terms


def ids_of(which: Filter) -> list[int]:
    """Without those that no signal can have, and no database take."""
    return [number for number in which.ids or () if 0 < number <= NEWEST]


# -- listings


def list_signals(db: Database, which: Filter, limit: int) -> list[SignalRow]:
    """Newest first."""
    query = Signals.select(*signal_columns(), Signals.deliveries, Signals.unrouted)
    rows = matching(query, which).order_by(Signals.id.desc()).limit(limit).tuples().execute(db)
    return [make_signal_row(row) for row in rows]


def list_signals_after(db: Database, which: Filter, after: int, limit: int) -> list[Signal]:
    """In the order of their ids, each page from where the last one ended."""
    query = matching(Signals.select(*signal_columns()), which).where(Signals.id > after)
    return [make_signal(row) for row in query.order_by(Signals.id).limit(limit).tuples().execute(db)]


def count_signals(db: Database, which: Filter) -> int:
    """How many match."""
    count: int = matching(Signals.select(fn.COUNT(Signals.id)), which).scalar(db)
    return count


def signal_columns() -> list[Any]:
    return [getattr(Signals, name) for name in SIGNAL_COLUMNS]


def matching(query: Any, which: Filter) -> Any:
    """A query of signals, of those alone that match."""
    if terms := of_signals(which):
        query = query.where(*terms)
    if which.route is not None or which.state is not None:
        query = query.where(Signals.id.in_(Deliveries.select(Deliveries.signal_id).where(*of_deliveries(which))))
    return query


def make_signal_row(row: Sequence[Any]) -> SignalRow:
    *signal, deliveries, unrouted = row
    return SignalRow(make_signal(signal), deliveries, tuple(orjson.loads(unrouted)) if unrouted else ())


def list_deliveries(db: Database, which: Filter, limit: int) -> list[DeliveryRow]:
    """Newest first."""
    query = select_deliveries(Deliveries)
    if terms := of_deliveries(which):
        query = query.where(*terms)
    rows = query.order_by(Deliveries.signal_id.desc(), Deliveries.route).limit(limit).dicts().execute(db)
    return [make_delivery_row(row) for row in rows]


def find_heads(db: Database, signal_id: int) -> dict[str, DeliveryRow]:
    """The heads of the lanes in which deliveries of a signal wait, by route."""
    head = Deliveries.alias("head")
    lane = (Deliveries.account == head.account) & (Deliveries.route == head.route) & (Deliveries.lane == head.lane)
    waits = Deliveries.due_at.is_null() & (Deliveries.held == 0) & (Deliveries.state == "pending")
    query = select_deliveries(head).join(Deliveries, on=lane)
    query = query.where(Deliveries.signal_id == signal_id, waits, head.state == "pending", head.due_at.is_null(False))
    return {row.route: row for row in map(make_delivery_row, query.dicts().execute(db))}


def select_deliveries(deliveries: Any) -> Any:
    """Deliveries, or an alias of theirs, with what of their signals they are listed with."""
    key = (Signals.account, Signals.id, Signals.received_at)
    same = Tuple(*key) == Tuple(deliveries.account, deliveries.signal_id, deliveries.received_at)
    columns = [getattr(deliveries, name) for name in Deliveries._meta.sorted_field_names]
    return deliveries.select(*columns, Signals.select(Signals.late).where(same).alias("late"))


def make_delivery_row(row: dict[str, Any]) -> DeliveryRow:
    del row["lease"], row["received_at"]
    flags: dict[str, Any] = {name: bool(row.pop(name)) for name in ("held", "replayed", "late")}
    times: dict[str, Any] = {
        name: seconds(row.pop(name)) for name in ("created_at", "due_at", "leased_until", "ended_at")
    }
    return DeliveryRow(**row, **times, **flags)


def list_attempts(db: Database, signal_id: int) -> dict[str, list[Attempt]]:
    """By route, in order."""
    rows = Attempts.select().where(Attempts.signal_id == signal_id).order_by(Attempts.id).dicts().execute(db)
    attempts: defaultdict[str, list[Attempt]] = defaultdict(list)
    for row in rows:
        started, duration = row["started_at"] / 1e6, row["duration"] / 1e6
        attempts[row["route"]].append(Attempt(row["number"], started, duration, Kind(row["kind"]), row["reason"]))
    return dict(attempts)


def list_quarantined(db: Database, account: str | None, limit: int) -> list[QuarantineRow]:
    """Newest first."""
    query = in_quarantine(Filter(account=account)).order_by(Quarantine.id.desc()).limit(limit)
    return [make_quarantine_row(row) for row in query.dicts().execute(db)]


def list_quarantined_oldest(db: Database, which: Filter, limit: int) -> list[QuarantineRow]:
    query = in_quarantine(which).order_by(Quarantine.id).limit(limit)
    return [make_quarantine_row(row) for row in query.dicts().execute(db)]


def in_quarantine(which: Filter) -> Any:
    """Requests that are still there and match."""
    terms = [Quarantine.accepted_at.is_null(), *between(Quarantine.id, which)]
    if which.ids is not None:
        terms.append(Quarantine.id.in_(ids_of(which)))
    if which.account is not None:
        terms.append(Quarantine.account == which.account)
    return Quarantine.select().where(*terms, *received(Quarantine.received_at, which))


def make_quarantine_row(row: dict[str, Any]) -> QuarantineRow:
    errors = orjson.loads(row["errors"])
    return QuarantineRow(row["id"], row["account"], row["received_at"] / 1e6, row["body"], errors)


# -- the rest


def next_due(
    db: Database, routes: Iterable[tuple[str, str]], full: Container[tuple[str, str]] = ()
) -> dict[tuple[str, str], float]:
    """When each route can next be claimed from; by its live deliveries alone where it is `full` of replays."""
    return read_next_due(sql.run(db, sql.NEXT_DUE, dumps(list(routes))), full)


def read_next_due(rows: Iterable[Sequence[Any]], full: Container[tuple[str, str]] = ()) -> dict[tuple[str, str], float]:
    times: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for account, route, replayed, *found in rows:
        if not (replayed and (account, route) in full):
            times[account, route] += [at for at in found if at is not None]
    return {route: min(known) / 1e6 for route, known in times.items() if known}


def read_route_states(db: Database) -> dict[tuple[str, str], RouteState]:
    """Routes with anything remembered of them."""
    rows = Routes.select().dicts().execute(db)
    return {(row["account"], row["route"]): make_route_state(row) for row in rows}


def make_route_state(row: dict[str, Any]) -> RouteState:
    paused_at, probe_at = seconds(row.pop("paused_at")), row.pop("probe_at") / 1e6
    return RouteState(**row, probe_at=probe_at, paused_at=paused_at, paused=paused_at is not None)


def read_backlog(db: Database) -> dict[tuple[str, str], Backlog]:
    """What each route has pending."""
    rows = sql.run(db, sql.BACKLOG)
    return {(account, route): Backlog(pending, due, seconds(at)) for account, route, pending, due, at in rows}


def list_actions(db: Database, action: str | None, limit: int) -> list[Action]:
    """The history, newest first."""
    query = Actions.select().order_by(Actions.id.desc()).limit(limit)
    rows = (query.where(Actions.action == action) if action else query).dicts().execute(db)
    return [Action(**{**row, "at": row["at"] / 1e6, "detail": orjson.loads(row["detail"])}) for row in rows]


def read_state(db: Database, account: str, route: str) -> dict[str, Any]:
    """A route's keys and values."""
    query = SinkState.select(SinkState.key, SinkState.value)
    rows = query.where(SinkState.account == account, SinkState.route == route).tuples().execute(db)
    return {key: orjson.loads(value) for key, value in rows}


def read_ledger(db: Database) -> Mapping[tuple[str, str], Mapping[str, int]]:
    """The custody identity's figures, all from one snapshot."""
    counts: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(("accepted", *STATES), 0))
    with snapshot(db):
        for account, route, state, count in count_deliveries(db):
            counts[account, route][state] += count
            counts[account, route]["accepted"] += count
        for account, route, count in count_unrouted(db):
            counts[account, route]["filtered"] += count
            counts[account, route]["accepted"] += count
    return dict(counts)


def snapshot(db: Database) -> Any:
    """A transaction whose queries all see the same; SQLite's do anyway."""
    return db.atomic("REPEATABLE READ") if sql.is_postgres(db) else db.atomic()


def count_deliveries(db: Database) -> Iterable[tuple[str, str, str, int]]:
    group = (Deliveries.account, Deliveries.route, Deliveries.state)
    rows: Iterable[tuple[str, str, str, int]] = (
        Deliveries.select(*group, fn.COUNT(ALL)).group_by(*group).tuples().execute(db)
    )
    return rows


def count_unrouted(db: Database) -> Iterable[tuple[str, str, int]]:
    """The lists are few and repeat, so they are counted as they are and read here."""
    group = (Signals.account, Signals.unrouted)
    query = Signals.select(*group, fn.COUNT(ALL)).where(Signals.unrouted != "").group_by(*group)
    for account, unrouted, count in query.tuples().execute(db):
        for route in orjson.loads(unrouted):
            yield account, route, count
