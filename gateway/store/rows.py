"""Between the model's values and the database's.

Times in the database are whole microseconds. A signal's `occurred_at` is part of a unique key, and SQLite's reading
of decimal fractions differs by version in the last bit: with fractions, a retry could pass for a second signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from gateway.model import Signal
from gateway.signal_types import STAGES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
UNKNOWN_TIME = -(10**18)
"""Stands for no `occurred_at`, before any year that a datetime can have. NULLs are never equal: each retry of a signal
without a time would be a new one."""
LIMIT = 9e12
"""Seconds, either way: what still fits in 64 bits as microseconds."""


def micros(seconds: float) -> int:
    """Seconds since the epoch as the database has them."""
    return round(min(max(seconds, -LIMIT), LIMIT) * 1e6)


def seconds(value: int | None) -> float | None:
    """The way back."""
    return None if value is None else value / 1e6


def micros_of(when: datetime) -> int:
    """Exact, which `timestamp()` is not in far years."""
    return (when - EPOCH) // MICROSECOND


def when(value: int) -> datetime:
    return EPOCH + value * MICROSECOND


def dumps(value: Any) -> str:
    """JSON text. Raises TypeError for what JSON does not have."""
    return orjson.dumps(value).decode()


def clean(text: str) -> str:
    """Text that came from anywhere as text that any database takes: no lone surrogates, no NUL."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def occurred_at(signal: Signal) -> int:
    """As the signals' key has it."""
    return UNKNOWN_TIME if signal.occurred_at is None else micros_of(signal.occurred_at)


def signal_row(signal: Signal, deliveries: int, unrouted: Sequence[str]) -> list[Any]:
    """A signal in the order of `SIGNAL_COLUMNS`, but for the id and `late`, then the columns that none of it needs."""
    return [
        signal.account,
        signal.identity,
        occurred_at(signal),
        clean(signal.type),
        clean(signal.order),
        clean(signal.order_reference),
        signal.item and clean(signal.item),
        signal.item_reference and clean(signal.item_reference),
        micros_of(signal.received_at),
        dumps(signal.payload),
        STAGES.get(signal.type, 0),
        deliveries,
        dumps(unrouted) if unrouted else "",
    ]


SIGNAL_COLUMNS = (
    "id",
    "account",
    "identity",
    "occurred_at",
    "type",
    "order_id",
    "order_reference",
    "item",
    "item_reference",
    "received_at",
    "payload",
    "late",
)


def make_signal(row: Sequence[Any]) -> Signal:
    """The signal of a row that begins with `SIGNAL_COLUMNS`."""
    id, account, identity, occurred, type, order, order_reference, item, item_reference, received, payload, late = row
    return Signal(
        account=account,
        type=type,
        order=order,
        order_reference=order_reference,
        item=item,
        item_reference=item_reference,
        occurred_at=None if occurred == UNKNOWN_TIME else when(occurred),
        received_at=when(received),
        payload=orjson.loads(payload),
        identity=identity,
        id=id,
        late=bool(late),
    )
