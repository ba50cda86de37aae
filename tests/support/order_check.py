"""Compares the order states of a store with its signals, added up in plain Python."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from gateway.model import Signal
from gateway.operate.orders import catch_up
from gateway.order_state import Event, OrderState, fold
from gateway.signal_types import GATEWAY_ALERT
from gateway.store.contract import Store
from gateway.store.rows import micros_of

DETAILS = ("tracking", "shipping_option", "url", "cause", "message", "delay")
DEADLINE = 60.0


def event_of(signal: Signal) -> Event:
    """Return the signal as an event of its order."""
    return Event(
        signal.account,
        signal.order,
        signal.item or "",
        signal.order_reference,
        signal.item_reference or "",
        signal.type,
        micros_of(signal.at),
        micros_of(signal.received_at),
        signal.late,
        {name: signal.text(name) for name in DETAILS},
    )


async def find_wrong_states(store: Store, signals: Iterable[Signal]) -> list[str]:
    """Wait until all signals of the store are added, and return the orders with another state than theirs."""
    events = [event_of(signal) for signal in signals if signal.type != GATEWAY_ALERT]
    deadline = time.monotonic() + DEADLINE
    while True:
        await catch_up(store, time.time())
        added = sum(activity.signals for activity in (await store.read_activity()).values())
        if added == len(events):
            break
        if added > len(events) or time.monotonic() > deadline:
            return [f"{added} signals were added of {len(events)}"]
        await asyncio.sleep(0.1)
    expected = fold({}, [event for event in events if event.order])
    wrong = []
    for account, order in {key[:2] for key in expected}:
        found = await store.read_order(account, order, 10_000)
        states = {} if found is None else {state.key: state for state in (found[0], *found[1])}
        wrong += [
            f"{key}: {states.get(key)} is not {state}"
            for key, state in expected.items()
            if key[:2] == (account, order) and states.get(key) != state
        ]
    orders = sum(isinstance(state, OrderState) for state in expected.values())
    return wrong if await store.count_orders() == orders else [*wrong, "there are other orders"]
