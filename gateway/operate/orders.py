"""Orders for operators: a list with states, one order with its items and its timeline, and states made anew.

The timeline has each signal of the order with its result on each route, in the words of gateway.operate.explain. It
also has the failed attempts with the target's answers.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.model import Attempt
from gateway.operate.explain import ExplainedSignal, Facts, explain_routes
from gateway.operate.lookups import SIGNALS_PER_ORDER, hint_of_quarantine
from gateway.operate.traffic import yield_to_traffic
from gateway.order_state import NEVER, PROBLEM, STATES, ItemState, OrderState, stages_of, word_of
from gateway.store.contract import Store
from gateway.store.contract_orders import Orders
from gateway.store.values import DeliveryRow, Filter, OrderFilter, SignalRow

__all__ = [
    "NEVER",
    "STATES",
    "ItemState",
    "OrderDetails",
    "OrderState",
    "Rebuilt",
    "list_orders",
    "make_order_filter",
    "place_of",
    "read_order",
    "rebuild_orders",
    "search_orders",
    "show_orders",
    "word_of",
]

ITEMS_SHOWN = 1000
"""Items read of one order at most."""
ORDERS_FOUND = 20
"""Orders that one name may find: a reference may be used by several accounts, or again by one."""
DELIVERIES_SHOWN = 20_000
"""Deliveries read of one order at most: SIGNALS_PER_ORDER on twenty routes."""
ORDERS_PER_STEP = 50
"""Orders made anew in one transaction: some milliseconds."""
SIGNALS_PER_STEP = 500
"""Signals added in one transaction before states are made anew."""
LEASE = 5.0
"""Seconds for which a command may follow the signals."""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """A signal of an order with its results and failed attempts by route."""

    explained: ExplainedSignal
    attempts: Mapping[str, Sequence[Attempt]]


@dataclass(frozen=True, slots=True)
class OrderDetails:
    """An order with its items and its timeline, in the order of the vendor's times.

    `state` is None if none of its signals was added to a state yet, which takes about a second.
    """

    account: str
    order: str
    state: OrderState | None
    items: Sequence[ItemState]
    timeline: Sequence[TimelineEntry]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Progress of making states anew: `done` of about `total` orders. `finished` is False if it was interrupted."""

    done: int = 0
    total: int = 0
    finished: bool = False


def make_order_filter(
    accounts: Sequence[str] | None = None,
    state: str | None = None,
    since: float | None = None,
    stuck_before: float | None = None,
) -> OrderFilter:
    """Return the filter for a state's word (one of STATES) and times. Raises GatewayError for another word."""
    if state is None:
        return OrderFilter(accounts, since=since, stuck_before=stuck_before)
    if state == PROBLEM:
        return OrderFilter(accounts, problems=True, since=since, stuck_before=stuck_before)
    stages = stages_of(state)
    if not stages:
        raise GatewayError(f"there is no state {state!r}; the states are {', '.join(STATES)}")
    return OrderFilter(accounts, stages, False, since, stuck_before)


async def list_orders(
    store: Orders, which: OrderFilter, limit: int, after: tuple[int, str, str] | None = None
) -> Sequence[OrderState]:
    """Return orders, the ones with the latest signals first; `after` is `place_of` the last order of a page before."""
    return await store.list_orders(which, limit, after)


def place_of(order: OrderState) -> tuple[int, str, str]:
    """Return an order's place in the list, for the next page."""
    return order.last_seen, order.account, order.order


async def show_orders(
    store: Store, config: Config, text: str, now: float, accounts: Sequence[str] | None = None
) -> list[OrderDetails]:
    """Return the orders with this id, reference, item or tracking number. Raises GatewayError if there are none."""
    found = await store.find_orders(text, accounts, ORDERS_FOUND)
    if not found:
        account = accounts[0] if accounts and len(accounts) == 1 else None
        hint = "" if accounts and account is None else await hint_of_quarantine(store, text, account)
        raise GatewayError(f"there is no order, item or tracking number {text}{hint}")
    return [await read_order(store, config, account, order, now) for account, order in found]


async def search_orders(store: Orders, text: str, accounts: Sequence[str] | None) -> list[OrderState]:
    """Return the states of orders with this id, reference, item or tracking number."""
    keys = await store.find_orders(text, accounts, ORDERS_FOUND)
    found = [await store.read_order(account, order, 1) for account, order in keys]
    return [known[0] for known in found if known]


async def read_order(store: Store, config: Config, account: str, order: str, now: float) -> OrderDetails:
    """Return one order with its items and its timeline."""
    known = await store.read_order(account, order, ITEMS_SHOWN)
    which = Filter(account=account, order=order)
    rows = [row for row in await store.list_signals(which, SIGNALS_PER_ORDER) if row.signal.order == order]
    rows.sort(key=lambda row: (row.signal.at, row.signal.id))
    deliveries: defaultdict[int, dict[str, DeliveryRow]] = defaultdict(dict)
    for delivery in await store.list_deliveries(which, DELIVERIES_SHOWN):
        deliveries[delivery.signal_id][delivery.route] = delivery
    states = {route: state for (owner, route), state in (await store.read_route_states()).items() if owner == account}
    configured = config.accounts.get(account)
    timeline = []
    for row in rows:
        facts = Facts(row, deliveries[row.signal.id], await find_heads(store, row, deliveries[row.signal.id]), states)
        explained = ExplainedSignal(row, configured is not None, explain_routes(facts, configured, now))
        timeline.append(TimelineEntry(explained, await store.read_attempts(row.signal.id)))
    state, items = known or (None, ())
    return OrderDetails(account, order, state, items, timeline)


async def find_heads(store: Store, row: SignalRow, deliveries: Mapping[str, DeliveryRow]) -> Mapping[str, DeliveryRow]:
    """Return the heads of the lanes in which a signal waits; nothing is read if it waits in none."""
    waits = any(delivery.state == "pending" and delivery.due_at is None for delivery in deliveries.values())
    return await store.read_heads(row.signal.id) if waits else {}


# -- made anew


async def rebuild_orders(store: Store, now: float, stop: asyncio.Event) -> AsyncIterator[Rebuilt]:
    """Make all order states and the counts of signals anew from the signals; yield the progress. Record the action.

    A gateway may serve meanwhile, and readers see each order as before or as made anew. `stop` ends it between two
    steps; it can be run again. Signals that were purged are not added again.
    """
    await catch_up(store, now)
    total, done = await store.count_orders(), 0
    yield Rebuilt(0, total)
    async for number in yield_to_traffic(rebuild_steps(store), stop):
        done += number
        yield Rebuilt(min(done, max(total, 1)), total)
    if not stop.is_set():
        await store.record_action("orders-rebuild", {"orders": done}, now)
        yield Rebuilt(done, max(total, done), True)


async def catch_up(store: Orders, now: float) -> None:
    """Add the signals that no gateway has added yet, unless one does it now."""
    owner = uuid.uuid4().hex
    while (await store.follow_orders(owner, now, now + LEASE, SIGNALS_PER_STEP)).more:
        pass


async def rebuild_steps(store: Orders) -> AsyncIterator[int]:
    """Make orders anew, then the counts of accounts; yield the number of orders of each step."""
    after = ("", "")
    while page := await store.rebuild_orders(after, ORDERS_PER_STEP):
        after = page[-1][0], page[-1][1]
        yield len(page)
    account = ""
    while found := await store.rebuild_counts(account):
        account = found
        yield 0
