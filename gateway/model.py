"""The words of the product as frozen values. Nothing here does I/O or reads a clock."""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import orjson

from gateway import signal_types

EVERY = "*"
"""Stands in a route's `signals` for every type, unknown ones too."""

ALL = frozenset({EVERY})

Ordering = Literal["lane", "none"]
"""A route's order: "lane" delivers the signals of one order one after the other, "none" delivers all as they come."""


class SecretValue:
    """A secret that can't be shown by accident: `repr`, `str` and format give `***`; `reveal()` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretValue) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a secret can't be pickled")


@dataclass(frozen=True, slots=True)
class Key:
    """A Webhook API key as the gateway keeps it: its SHA-256 digest (32 bytes), a label and an optional end (UTC)."""

    digest: bytes = field(repr=False)
    label: str
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """How a route retries; seconds, but for `factor`. See gateway.policy."""

    first: float = 5.0
    factor: float = 2.0
    cap: float = 3600.0
    give_up_after: float = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Route:
    """A named use of a sink by an account: which signals it wants and how they are delivered.

    `options` has passed the sink's schema; its secrets are `SecretValue`. `rate` is in deliveries per second.
    """

    account: str
    tenant: str
    name: str
    sink: str
    signals: frozenset[str] = ALL
    options: Mapping[str, Any] = field(default_factory=dict)
    enabled: bool = True
    concurrency: int = 4
    rate: float | None = None
    retry: Retry = Retry()
    order: Ordering = "lane"

    def wants(self, signal_type: str) -> bool:
        return EVERY in self.signals or signal_type in self.signals

    def log_context(self) -> dict[str, object]:
        return {"account": self.account, "route": self.name, "sink": self.sink}


RouteKey = tuple[str, str]
"""Names a route: its account and its name."""


@dataclass(frozen=True, slots=True)
class Account:
    """One client: endpoint `/signals/<name>`, keys, routes. `rate` is in signals per second."""

    name: str
    tenant: str
    keys: tuple[Key, ...]
    routes: Mapping[str, Route]
    rate: float | None = None
    unknown_types: Literal["accept", "reject"] = "accept"
    unknown_orders: Literal["accept", "hold"] = "accept"

    def log_context(self) -> dict[str, object]:
        return {"account": self.name, "tenant": self.tenant}


@dataclass(frozen=True, slots=True)
class Signal:
    """One event of an order, as received.

    `payload` is what the sender sent, without `apikey`; the fields beside it are the normalised ones.
    `occurred_at` is the sender's own datetime in UTC, None where an unknown type has none. `received_at` is UTC.
    `id` is given by the store when the signal is accepted, in that order; 0 before. `late` is the store's word too:
    when it was accepted, one of the same order (and item, where both have one) was there with a later `occurred_at`.
    """

    account: str
    type: str
    order: str
    order_reference: str
    item: str | None
    item_reference: str | None
    occurred_at: datetime | None
    received_at: datetime
    payload: Mapping[str, Any]
    identity: str
    id: int = 0
    late: bool = False

    @property
    def at(self) -> datetime:
        """When it happened, as far as is known."""
        return self.occurred_at or self.received_at

    def text(self, name: str) -> str:
        """A payload field as text, "" where it is missing or empty."""
        value = self.payload.get(name)
        return "" if value is None else str(value)

    @property
    def cause(self) -> str:
        """The cause in words: known codes described, others as sent, "" where there is none."""
        sent = self.text("cause")
        return f"{signal_types.CAUSES[sent]} ({sent})" if sent in signal_types.CAUSES else sent

    def log_context(self) -> dict[str, object]:
        context = {
            "account": self.account,
            "signal": self.id,
            "type": self.type,
            "order": self.order,
            "item": self.item,
        }
        return {name: value for name, value in context.items() if value}


def identity_of(account: str, payload: Mapping[str, Any]) -> str:
    """32 hex digits that name a signal: BLAKE2b of the account and the canonical payload (no apikey, sorted keys).

    The sender has no event id, and the same order, type and time with other content is a second signal; so the
    whole content is the identity, and only a true retry is a duplicate.
    """
    canonical = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(account.encode() + b"\0" + canonical, digest_size=16).hexdigest()


def lane_of(signal: Signal, order: Ordering) -> str | None:
    """The lane's key on a route: the order's id, so that one order's deliveries stay in order; None is no lane.

    The vendor's order id and not the reference: a reseller may reuse a reference for a second order.
    """
    return (signal.order or signal.order_reference or None) if order == "lane" else None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One signal on one route, as handed to a sink. `attempt` counts from 1.

    `furthest` is the type furthest along the order's life (see STAGES) among this signal and those accepted before it:
    of the same item and of the order as a whole, or, where the signal has no item, of the whole order. For a replay it
    is the furthest of all accepted by now. A sink that moves an order's state looks at it, so that neither a late
    signal nor a replay moves the order backwards. `replayed` marks a replay.
    """

    signal: Signal
    route: str
    attempt: int = 1
    created_at: float = 0.0
    lease: str = field(default="", repr=False)
    furthest: str = ""
    replayed: bool = False

    def __post_init__(self) -> None:
        if not self.furthest:
            object.__setattr__(self, "furthest", self.signal.type)

    @property
    def overtaken(self) -> bool:
        """Whether the order is known to be further along than this signal says."""
        return signal_types.STAGES.get(self.furthest, 0) > signal_types.STAGES.get(self.signal.type, 0)

    @property
    def key(self) -> str:
        """The idempotency key: the signal's identity, the same for each attempt and each replay."""
        return self.signal.identity

    @property
    def stamp(self) -> str:
        """A name that all attempts of a delivery share and a replay does not: it has a later `created_at`.

        A sink whose target can't look up `key` remembers the stamps of recent deliveries in its state.
        """
        return f"{self.key}:{self.created_at:.6f}"

    def log_context(self) -> dict[str, object]:
        return {**self.signal.log_context(), "route": self.route, "attempt": self.attempt}


class Kind(enum.StrEnum):
    """What became of an attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    PERMANENT = "permanent"
    MISCONFIGURED = "misconfigured"
    SKIPPED = "skipped"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a sink made of a delivery. `after` (seconds) is the target's own wish for the next try; `healthy` that a
    retry is this delivery's own matter and says nothing against the target."""

    kind: Kind
    reason: str = ""
    after: float | None = None
    healthy: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The delivery has ended well: delivered, or filtered with the sink's reason."""

    state: Literal["delivered", "filtered"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """The delivery waits until `at`. `counted` is False where nothing was tried or the route is to blame."""

    at: float
    reason: str = ""
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Dead:
    """The delivery is given up and kept as a dead letter."""

    reason: str


Decision = Done | RetryAt | Dead


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a delivery that did not succeed, as kept. Times in seconds since the epoch."""

    number: int
    started_at: float
    duration: float
    kind: Kind
    reason: str
