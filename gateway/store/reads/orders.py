"""Reads order states, and the signals that are to be added to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from peewee import Database, Tuple

from gateway import exact_json
from gateway.order_state import (
    DETAILED,
    NEVER,
    WHOLE_ORDER,
    Event,
    ItemState,
    Key,
    OrderState,
    Parcel,
    Problem,
    State,
)
from gateway.store.order_tables import AccountActivity, Followers, OrderStates
from gateway.store.rows import UNKNOWN_TIME, clean, dumps, micros
from gateway.store.statements import execute, is_postgres
from gateway.store.tables import columns_of
from gateway.store.values import Activity

FOLLOWER = "orders"
"""Name of the follower that keeps order states and counts of signals."""
STATE_ROW = columns_of(OrderStates)
"""Columns of `state_row` and `make_state`."""
NAMES = ("tracking", "shipping_option", "url", "cause", "message", "delay")
"""Fields of a payload that matter to a state."""
PAYLOAD = f"CASE WHEN type IN ({', '.join(repr(name) for name in sorted(DETAILED))}) THEN payload END"
SIGNAL = (
    f"id, account, order_id, item, order_reference, item_reference, type, occurred_at, received_at, late, {PAYLOAD}"
)
"""Columns of a signal to add."""
NEXT_SIGNALS = f"SELECT {SIGNAL} FROM signals WHERE id > {{0}} AND id <= {{0}} ORDER BY id LIMIT {{0}}"
SIGNALS_OF = f"""
SELECT {SIGNAL} FROM signals
WHERE order_id = {{0}} AND account = {{0}} AND id > {{0}} AND id <= {{0}} ORDER BY id LIMIT {{0}}
"""
PAGE = 2000
"""Signals of one order that are read at once."""

STATES = {
    "sqlite": f"""
SELECT {", ".join(f"s.{name}" for name in STATE_ROW)} FROM json_each(?) asked CROSS JOIN order_states s
ON s.order_id = asked.value ->> 1 AND s.account = asked.value ->> 0 AND s.item = asked.value ->> 2
""",
    "postgres": f"""
SELECT {", ".join(f"s.{name}" for name in STATE_ROW)} FROM jsonb_array_elements(%s::jsonb) asked JOIN order_states s
ON s.order_id = asked ->> 1 AND s.account = asked ->> 0 AND s.item = asked ->> 2
""",
}


class Place(NamedTuple):
    """The row of a follower; see the table of followers. `until` is in microseconds."""

    position: int
    version: int
    owner: str
    until: int


class Added(NamedTuple):
    """A signal to add, with its id."""

    id: int
    event: Event


def read_place(db: Database) -> Place:
    """Return the follower's place."""
    query = Followers.select(Followers.position, Followers.version, Followers.owner, Followers.until)
    return Place(*query.where(Followers.name == FOLLOWER).tuples().execute(db)[0])


def read_next(db: Database, after: int, upto: int, limit: int) -> list[Added]:
    """Return the next signals, in the order of their ids."""
    text = NEXT_SIGNALS.format("%s" if is_postgres(db) else "?")
    return [Added(row[0], make_event(*row[1:])) for row in execute(db, text, after, upto, limit)]


def read_signals_of(db: Database, orders: Iterable[tuple[str, str]], upto: int) -> Iterator[list[Added]]:
    """Yield pages of the signals of these orders (id and account), up to that id."""
    text = SIGNALS_OF.format("%s" if is_postgres(db) else "?")
    for order, account in orders:
        after: int | None = 0
        while after is not None:
            page = [Added(row[0], make_event(*row[1:])) for row in execute(db, text, order, account, after, upto, PAGE)]
            yield page
            after = page[-1].id if len(page) == PAGE else None


def make_event(
    account: str,
    order: str,
    item: str | None,
    reference: str,
    item_reference: str | None,
    type: str,
    occurred_at: int,
    received_at: int,
    late: int,
    payload: str | None,
) -> Event:
    """Build the event from a signal's columns."""
    at = received_at if occurred_at == UNKNOWN_TIME else occurred_at
    details = read_details(payload) if payload else {}
    return Event(
        account,
        order,
        item or WHOLE_ORDER,
        reference,
        item_reference or "",
        type,
        at,
        received_at,
        bool(late),
        details,
    )


def read_details(payload: str) -> Mapping[str, str]:
    """Return the payload's texts that matter to a state."""
    sent = exact_json.loads(payload)
    given = ((name, sent.get(name)) for name in NAMES)
    return {
        name: clean(value if isinstance(value, str) else dumps(value)) for name, value in given if value is not None
    }


# -- states


def read_states(db: Database, keys: Iterable[Key], orders: Iterable[tuple[str, str]]) -> dict[Key, State]:
    """Return the states of these keys, and of all items of these orders."""
    text = STATES["postgres" if is_postgres(db) else "sqlite"]
    found = [make_state(row) for row in execute(db, text, dumps([list(key) for key in keys]))]
    for account, order in orders:
        found += read_items(db, account, order)
    return {state.key: state for state in found}


def read_items(db: Database, account: str, order: str, limit: int | None = None) -> list[State]:
    """Return the order and its items."""
    query = OrderStates.select().where(OrderStates.order_id == order, OrderStates.account == account)
    rows = query.order_by(OrderStates.item).limit(limit).tuples().execute(db)
    return [make_state(row) for row in rows]


def read_order(db: Database, account: str, order: str, limit: int) -> tuple[OrderState, list[ItemState]] | None:
    """Return an order and its items; None if there is none."""
    states = read_items(db, account, order, limit + 1)
    orders = [state for state in states if isinstance(state, OrderState)]
    return (orders[0], [state for state in states if isinstance(state, ItemState)]) if orders else None


def list_waiting(
    db: Database, account: str, stages: tuple[int, int], before: float, limit: int, after: Key | None = None
) -> list[State]:
    """Return states at these stages since before that time."""
    table = OrderStates
    order = (table.stage, table.since, table.order_id, table.item)
    query = table.select().where(table.account == account, table.stage >= stages[0], table.stage < stages[1])
    query = query.where(table.since < micros(before))
    if after is not None:
        own = table.alias("own")
        place = own.select(own.stage, own.since, own.order_id, own.item)
        place = place.where(own.order_id == after[1], own.account == after[0], own.item == after[2])
        for row in place.tuples().execute(db):
            query = query.where(Tuple(*order) > Tuple(*row))
    return [make_state(row) for row in query.order_by(*order).limit(limit).tuples().execute(db)]


def read_activity(db: Database) -> dict[str, Activity]:
    """Return when each account had its first and its last signal."""
    table = AccountActivity
    rows = table.select(table.account, table.first_seen, table.last_seen, table.signals).tuples().execute(db)
    return {account: Activity(first / 1e6, last / 1e6, number) for account, first, last, number in rows}


def state_row(state: State) -> list[Any]:
    """Return a state's values for the columns of STATE_ROW."""
    return [
        state.order,
        state.account,
        state.item,
        state.reference,
        state.stage,
        state.since,
        state.problems,
        state.first_seen,
        state.last_seen,
        state.signals,
        state.late,
        detail_of(state),
    ]


def detail_of(state: State) -> str:
    """Return the rest of a state as JSON."""
    detail: dict[str, Any] = {"times": state.times}
    if isinstance(state, ItemState):
        detail |= {"problem": state.problem} if state.problem else {}
        detail |= {"tracking": state.tracking} if state.tracking else {}
    else:
        detail |= {"own": [state.own_at, state.own_stage, state.canceled_at]} if state.own_stage else {}
        detail |= {"items": list(state.items.items())} if state.items else {}
    return orjson.dumps(detail, default=list).decode()


def make_state(row: Sequence[Any]) -> State:
    """Build the state from a row of STATE_ROW."""
    order, account, item, reference, stage, since, problems, first_seen, last_seen, signals, late, text = row
    detail = orjson.loads(text)
    same = {"first_seen": first_seen, "last_seen": last_seen, "signals": signals, "late": late, "since": since}
    if item == WHOLE_ORDER:
        own = detail.get("own", (NEVER, 0, NEVER))
        items = dict(detail.get("items", ()))
        whole = OrderState(account, order, reference, times=detail["times"], problems=problems, items=items, **same)
        whole.own_at, whole.own_stage, whole.canceled_at = own
        return whole
    state = ItemState(account, order, item, reference, stage, times=detail["times"], **same)
    if problem := detail.get("problem"):
        state.problem = Problem(*problem)
    parcels = detail.get("tracking", {})
    state.tracking = {number: Parcel(tuple(option), tuple(url)) for number, (option, url) in parcels.items()}
    return state


def read_followed(db: Database) -> int:
    """Return the id up to which all signals are there, and added to the states."""
    return read_place(db).position
