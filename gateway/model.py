"""The product's words as frozen values: account, route, signal, delivery, outcome. No I/O and no clock."""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway import exact_json, signal_types

MASK = "***"
"""Replaces a secret wherever it would be shown, kept or logged."""
EVERY = "*"
"""In a route's `signals`, every type, also unknown ones."""

ALL = frozenset({EVERY})

Ordering = Literal["lane", "none"]
"""A route's order: "lane" delivers the signals of one order one after the other, "none" delivers all as they come."""


class SecretValue:
    """A secret that is not shown by accident: `repr`, `str` and format give MASK, only `reveal()` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretValue) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a secret can't be pickled")


@dataclass(frozen=True, slots=True)
class Key:
    """A Webhook API key as the gateway keeps it: a SHA-256 digest (32 bytes), a label, an optional end (UTC)."""

    digest: bytes = field(repr=False)
    label: str
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """A route's retry settings: waits in seconds, and the factor from one to the next. See gateway.policy."""

    first: float = 5.0
    factor: float = 2.0
    cap: float = 3600.0
    give_up_after: float = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Route:
    """A named use of a sink by an account: the signals it wants, and the settings of their delivery.

    `options` has passed the sink's schema; its secrets are `SecretValue`. `rate` is in deliveries per second. `broken`
    is the reason why the sink can't be loaded, "" if it can.
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
    broken: str = ""

    def wants(self, signal_type: str) -> bool:
        """Return True if signals of this type are delivered on the route."""
        return EVERY in self.signals or signal_type in self.signals

    def log_context(self) -> dict[str, object]:
        return {"account": self.account, "route": self.name, "sink": self.sink}


RouteKey = tuple[str, str]
"""The key of a route: its account's name, then its own."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A rule about lateness or silence. Times are in seconds.

    Lateness: a signal of the type `after` must be followed, `within` that time, by the stage of `expect` or a later.
    Without `within`, the delay that the print error itself tells counts. Silence: the account sends no signal for
    `silent_for`; if that is None, the time is learned from the account's own rhythm.
    """

    name: str
    after: str = ""
    expect: str = ""
    within: float | None = None
    silent_for: float | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """One client: the endpoint `/signals/<name>`, keys, routes, watches. `rate` is in signals per second."""

    name: str
    tenant: str
    keys: tuple[Key, ...]
    routes: Mapping[str, Route]
    rate: float | None = None
    unknown_types: Literal["accept", "reject"] = "accept"
    unknown_orders: Literal["accept", "hold"] = "accept"
    incomplete: Literal["accept", "reject"] = "reject"
    watches: Mapping[str, Watch] = field(default_factory=dict)

    def log_context(self) -> dict[str, object]:
        return {"account": self.name, "tenant": self.tenant}


@dataclass(frozen=True, slots=True)
class Signal:
    """One event of an order, as received.

    `payload` is the sent object without `apikey`; the fields beside it are normalised.
    `occurred_at` is the sender's own datetime in UTC, None if an unknown type has none. `received_at` is UTC.
    `id` is given by the store, in the order of acceptance; 0 before.
    `late` is set by the store too. It is True if a signal of the same order with a later `occurred_at` was there
    already; if both signals name an item, it must be the same item.
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
        """Return the time of the event: `occurred_at`, else `received_at`."""
        return self.occurred_at or self.received_at

    def text(self, name: str) -> str:
        """Return a payload field as text, "" if it is missing or null. A whole number has no decimals."""
        value = self.payload.get(name)
        if type(value) is str:
            return value
        return "" if value is None else exact_json.whole_digits(value) or exact_json.to_text(value)

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the type's required parameters that the sender left empty; see `Account.incomplete`."""
        return tuple(name for name in signal_types.signal_type(self.type).required if not self.text(name).strip())

    @property
    def cause(self) -> str:
        """Return the cause: a known code in words, any other as sent, "" if there is none."""
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
    """Return a signal's identity, 32 hex digits: BLAKE2b of the account and the payload (no apikey, sorted keys).

    The sender gives no event id, and the same order, type and time with other content is a second signal. So the
    whole content is the identity, and only a true retry is a duplicate. Numbers count as sent: 1.0 is not 1.
    """
    canonical = exact_json.dumps(payload, sort_keys=True)
    return hashlib.blake2b(account.encode() + b"\0" + canonical, digest_size=16).hexdigest()


def lane_of(signal: Signal, order: Ordering) -> str | None:
    """Return a delivery's lane on a route: the vendor's order id. None means that it waits for no other delivery.

    The order id is preferred to the reference because a reseller may reuse a reference for a second order. An alert
    about no order has a lane of its own, so that its end is never delivered before its beginning.
    """
    if order != "lane":
        return None
    return signal.order or signal.order_reference or alert_lane(signal)


def alert_lane(signal: Signal) -> str | None:
    """Return the lane of an alert of the gateway that is about no order, None for other signals."""
    return f"alert {signal.payload.get('alert')}" if signal.type == signal_types.GATEWAY_ALERT else None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One signal on one route, as handed to a sink. `attempt` counts from 1.

    `furthest` is the most advanced type (by its stage) among this signal and the signals accepted before it.
    Compared are signals of the same item and of the order as a whole; if this signal has no item, all of the order.
    For a replay, all signals accepted by now are compared.
    A sink that moves an order's state checks `furthest`, so that no late signal and no replay moves it backwards.
    `replayed` marks a replay.
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
        """Return True if an accepted signal has brought the order further than this signal does.

        An alert of the gateway is never overtaken: it is news whatever the order's stage.
        """
        if self.signal.type == signal_types.GATEWAY_ALERT:
            return False
        return signal_types.STAGES.get(self.furthest, 0) > signal_types.STAGES.get(self.signal.type, 0)

    @property
    def key(self) -> str:
        """Return the idempotency key: the signal's identity, equal for all attempts and replays."""
        return self.signal.identity

    @property
    def stamp(self) -> str:
        """Return a name that all attempts of a delivery share. A replay has another, by its later `created_at`.

        A sink whose target can't look up `key` remembers the stamps of recent deliveries in its state.
        """
        return f"{self.key}:{self.created_at:.6f}"

    def log_context(self) -> dict[str, object]:
        return {**self.signal.log_context(), "route": self.route, "attempt": self.attempt}


class Kind(enum.StrEnum):
    """The result of an attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    PERMANENT = "permanent"
    MISCONFIGURED = "misconfigured"
    SKIPPED = "skipped"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A sink's answer to a delivery.

    `after` is the target's own wish for the next attempt, in seconds. `healthy` is True if the retry is this
    delivery's own matter and does not count against the target. `firm` is True if an earlier attempt would do harm.
    """

    kind: Kind
    reason: str = ""
    after: float | None = None
    healthy: bool = False
    firm: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The delivery has ended well: delivered, or filtered with the sink's reason."""

    state: Literal["delivered", "filtered"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """The delivery waits until `at`. `counted` is False if nothing was tried or the route is to blame."""

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
    """One failed attempt, as the store keeps it. `started_at` is in seconds since the epoch."""

    number: int
    started_at: float
    duration: float
    kind: Kind
    reason: str
