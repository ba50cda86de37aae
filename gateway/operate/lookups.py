"""Look-ups of signals and deliveries, and of all that the store has on one signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.errors import GatewayError
from gateway.model import Attempt
from gateway.store.contract import Records
from gateway.store.values import STATES, DeliveryRow, Filter, SignalRow

__all__ = [
    "STATES",
    "DeliveryRow",
    "Filter",
    "SignalDetails",
    "SignalRow",
    "find_signal",
    "list_deliveries",
    "list_signals",
    "read_deliveries",
    "read_signal",
]

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


async def read_signal(store: Records, signal_id: int) -> SignalDetails:
    """Return a signal with its deliveries and failed attempts. Raises GatewayError if there is no such signal."""
    row = await find_signal(store, signal_id)
    return SignalDetails(row, await read_deliveries(store, signal_id), await store.read_attempts(signal_id))


async def find_signal(store: Records, signal_id: int) -> SignalRow:
    """Return a signal. Raises GatewayError if there is no such signal."""
    rows = await store.list_signals(Filter(ids=[signal_id]), 1)
    if not rows:
        raise GatewayError(f"there is no signal {signal_id}")
    return rows[0]


async def read_deliveries(store: Records, signal_id: int) -> Sequence[DeliveryRow]:
    """Return the deliveries of one signal."""
    return await store.list_deliveries(Filter(ids=[signal_id]), DELIVERIES_PER_SIGNAL)
