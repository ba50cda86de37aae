"""Converts the model's values to columns and back.

Times in the database are whole microseconds. A signal's `occurred_at` is part of a unique key, and SQLite versions
differ in the last bit when they read decimal fractions: with fractions, a retry could pass for a second signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway import exact_json
from gateway.model import Attempt, Dead, Delivery, Done, RetryAt, Signal
from gateway.signal_types import STAGES
from gateway.store.values import Result

LARGEST_ID = 2**63 - 1
"""Id above that of any signal."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
UNKNOWN_TIME = -(10**18)
"""Microseconds that stand for a missing `occurred_at`, before any year that a datetime can have. NULLs are never equal
in a unique key: each retry of a signal without a time would be a new signal."""
LARGEST_SECONDS = 9e12
"""Seconds, positive or negative, that still fit in 64 bits as microseconds."""


def micros(seconds: float) -> int:
    """Return seconds since the epoch as microseconds, cut to 64 bits."""
    return round(min(max(seconds, -LARGEST_SECONDS), LARGEST_SECONDS) * 1e6)


def seconds(value: int | None) -> float | None:
    """Return a column's microseconds as seconds since the epoch."""
    return None if value is None else value / 1e6


def micros_of(when: datetime) -> int:
    """Return a datetime as microseconds since the epoch, exactly: `timestamp()` is inexact in distant years."""
    return (when - EPOCH) // MICROSECOND


def when(value: int) -> datetime:
    """Return microseconds since the epoch as a datetime."""
    return EPOCH + value * MICROSECOND


def dumps(value: Any) -> str:
    """Return JSON text. Raises TypeError for values that JSON does not have."""
    return exact_json.dumps(value).decode()


def clean(text: str) -> str:
    """Return text that both databases can store: without lone surrogates and NULs."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "")


# -- signals


def occurred_at(signal: Signal) -> int:
    """Return the time of the event as the unique key of signals has it."""
    return UNKNOWN_TIME if signal.occurred_at is None else micros_of(signal.occurred_at)


SIGNAL_ROW = (
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
    "stage",
    "deliveries",
    "unrouted",
)
"""Columns of `signal_row`: all but the id, which the database draws, and `late`, which needs a look at other rows."""


def signal_row(signal: Signal, deliveries: int, unrouted: Sequence[str]) -> list[Any]:
    """Return a new signal's values for the columns of SIGNAL_ROW."""
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
"""Columns that `make_signal` reads."""


def make_signal(row: Sequence[Any]) -> Signal:
    """Build the signal from a row that begins with SIGNAL_COLUMNS."""
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
        payload=exact_json.loads(payload),
        identity=identity,
        id=id,
        late=bool(late),
    )


# -- results


def result_row(result: Result) -> list[Any]:
    """Return signal id, route, state, due_at, number of attempts to add, ended_at, reason, account."""
    key = [result.delivery.signal.id, result.delivery.route]
    account = result.delivery.signal.account
    match result.decision:
        case RetryAt(at, reason, counted):
            return [*key, "pending", micros(at), int(counted), None, clean(reason), account]
        case Done(state, reason):
            return [*key, state, None, 1, micros(result.ended_at), clean(reason), account]
        case Dead(reason):
            return [*key, "dead", None, 1, micros(result.ended_at), clean(reason), account]


ATTEMPT_ROW = (
    "account",
    "signal_id",
    "route",
    "number",
    "started_at",
    "duration",
    "kind",
    "reason",
    "received_at",
)
"""Columns of `attempt_row`: all but the id, which the database draws."""


def attempt_row(delivery: Delivery, attempt: Attempt) -> list[Any]:
    """Return a failed attempt's values for the columns of ATTEMPT_ROW."""
    signal = delivery.signal
    times = [micros(attempt.started_at), micros(attempt.duration)]
    why = [attempt.kind.value, clean(attempt.reason)]
    return [signal.account, signal.id, delivery.route, attempt.number, *times, *why, micros_of(signal.received_at)]
