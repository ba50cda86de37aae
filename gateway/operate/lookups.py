"""Look-ups of signals and deliveries, and of all that the store has on one signal."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.errors import GatewayError
from gateway.model import Attempt
from gateway.operate.names import require_signals
from gateway.operate.quarantine import list_quarantine
from gateway.store.contract import Records
from gateway.store.values import STATES, DeliveryKey, DeliveryRow, Filter, SignalRow

__all__ = [
    "STATES",
    "DeliveryKey",
    "DeliveryRow",
    "Filter",
    "SignalDetails",
    "SignalRow",
    "find_order",
    "find_signal",
    "hint_if_empty",
    "hint_of_quarantine",
    "list_deliveries",
    "list_signals",
    "read_deliveries",
    "read_signal",
]

QUARANTINED_SEEN = 100
"""Requests in quarantine that a hint counts at most."""
SIGNALS_PER_ORDER = 1000
"""Signals read of one order at most: an item has about ten."""
DELIVERIES_PER_SIGNAL = 1000
"""Deliveries read of one signal at most: more than any account has routes."""


@dataclass(frozen=True, slots=True)
class SignalDetails:
    """A signal, its deliveries, and the failed attempts of each delivery by route."""

    row: SignalRow
    deliveries: Sequence[DeliveryRow]
    attempts: Mapping[str, Sequence[Attempt]]


async def list_signals(store: Records, which: Filter, limit: int) -> Sequence[SignalRow]:
    """Return accepted signals, newest first."""
    return await store.list_signals(which, limit)


async def list_deliveries(store: Records, which: Filter, limit: int) -> Sequence[DeliveryRow]:
    """Return deliveries, newest first."""
    return await store.list_deliveries(which, limit)


async def find_order(store: Records, order: str, account: str | None = None) -> list[int]:
    """Return the ids of an order's signals, in the order of acceptance. `order` is its id or its reference.

    Raises GatewayError if there are none, telling if requests with this order are in quarantine.
    """
    rows = await store.list_signals(Filter(order=order, account=account), SIGNALS_PER_ORDER)
    if rows:
        return sorted(row.signal.id for row in rows)
    raise GatewayError(f"there is no signal of the order {order}{await hint_of_quarantine(store, order, account)}")


async def hint_of_quarantine(store: Records, order: str, account: str | None = None) -> str:
    """Return the end of a message about an order without signals, "" if quarantine has nothing of it either."""
    found = len(await list_quarantine(store, account, QUARANTINED_SEEN, order))
    if not found:
        return ""
    many = f"{found}{'' if found < QUARANTINED_SEEN else ' or more'}"
    requests = "1 request of it is" if found == 1 else f"{many} requests of it are"
    return f"; {requests} in quarantine: `cloudsignal quarantine --order {shlex.quote(order)}`"


async def hint_if_empty(store: Records, rows: Sequence[object], which: Filter) -> str:
    """Return the hint of a listing that found nothing of an order, "" for any other listing."""
    return "" if rows or not which.order else await hint_of_quarantine(store, which.order, which.account)


async def read_signal(store: Records, signal_id: int) -> SignalDetails:
    """Return a signal with its deliveries and failed attempts. Raises GatewayError if there is no such signal."""
    row = await find_signal(store, signal_id)
    return SignalDetails(row, await read_deliveries(store, signal_id), await store.read_attempts(signal_id))


async def find_signal(store: Records, signal_id: int) -> SignalRow:
    """Return a signal. Raises GatewayError if there is no such signal."""
    await require_signals(store, [signal_id])
    return (await store.list_signals(Filter(ids=[signal_id]), 1))[0]


async def read_deliveries(store: Records, signal_id: int) -> Sequence[DeliveryRow]:
    """Return the deliveries of one signal."""
    return await store.list_deliveries(Filter(ids=[signal_id]), DELIVERIES_PER_SIGNAL)
