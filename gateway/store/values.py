"""Values that go into the store and come out of it. gateway.store.contract says how the store uses them.

Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from gateway.alerts import Condition
from gateway.model import Attempt, Decision, Delivery, Route, Signal

State = Literal["delivered", "pending", "dead", "filtered"]
STATES: tuple[str, ...] = get_args(State)
"""Every state of a delivery, in the order in which a ledger shows them."""


class Target(NamedTuple):
    """A route that a signal goes to: the route's name and the lane, None where no order must be kept."""

    route: str
    lane: str | None


class Accepted(NamedTuple):
    """Result of an accept. `signal_id` is 0 for a duplicate, and nothing was written.

    Ids grow in the order of acceptance, but not always by one.
    """

    signal_id: int
    duplicate: bool
    held: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A request for quarantine: it had a right key, but was no valid signal. `body` contains no key."""

    account: str
    received_at: float
    body: str
    errors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Request for up to `limit` deliveries of a route, with at most `replays` replays (None: no such limit)."""

    account: str
    route: str
    limit: int
    replays: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Result of a claim: the leased deliveries, in the order of the requests, and when to claim again.

    `next_due` maps (account, route) to the time of the next claim, for each requested route with a pending delivery. A
    leased delivery counts with the end of its lease. A time in the past means that more is due now. Replays don't
    count on a route if the claim has used up its limit of replays.
    """

    deliveries: Sequence[Delivery]
    next_due: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of a claimed delivery. `attempt` is None for a success, or if nothing was tried."""

    delivery: Delivery
    decision: Decision
    attempt: Attempt | None
    ended_at: float


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as listed. `late`, `type`, `order`, `order_reference` and `item` belong to its signal."""

    signal_id: int
    account: str
    route: str
    lane: str | None
    state: State
    attempts: int
    created_at: float
    due_at: float | None
    ended_at: float | None
    reason: str
    held: bool = False
    leased_until: float | None = None
    replayed: bool = False
    late: bool = False
    type: str = ""
    order: str = ""
    order_reference: str = ""
    item: str | None = None

    def is_leased(self, now: float) -> bool:
        """Return True if a gateway has the delivery in hand. A lease that has run out is a gateway that was killed."""
        return self.leased_until is not None and self.leased_until > now


@dataclass(frozen=True, slots=True)
class SignalRow:
    """A signal as listed, with its number of deliveries and the routes with filters that it did not match."""

    signal: Signal
    deliveries: int
    unrouted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """A quarantined request as listed."""

    id: int
    account: str
    received_at: float
    body: str
    errors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConfigPart:
    """A part of the configuration that a gateway uses: an account, an include entry or a setting.

    `detail` is JSON without secrets. `left_at` is the time at which an account left the configuration.
    """

    kind: Literal["account", "include", "setting"]
    name: str
    detail: Mapping[str, Any]
    left_at: float | None = None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Rows of an account that were removed, or would be. `done` is True once nothing of it is left."""

    signals: int = 0
    deliveries: int = 0
    pending: int = 0
    quarantined: int = 0
    orders: int = 0
    done: bool = False


class MadeKnown(NamedTuple):
    """Result of making orders known: how many were not known before, and how many held deliveries that freed."""

    new: int
    freed: int


class Actor(NamedTuple):
    """A person or a program that changes something, and where it does so: an address, "command line" or "gateway"."""

    name: str
    origin: str


class DeliveryKey(NamedTuple):
    """A delivery's place in listings, which go by signal, newest first, then by route."""

    signal_id: int
    route: str


@dataclass(frozen=True, slots=True)
class Telling:
    """A condition, the routes that get the signals of its alert, and the names of those that did not ask for them."""

    condition: Condition
    routes: Sequence[Route]
    unrouted: Sequence[str]


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Selects alerts that were raised; None selects any.

    `before` is an exclusive bound of ids. `state` "open" selects both raised and acknowledged ones.
    """

    ids: Sequence[int] | None = None
    accounts: Sequence[str] | None = None
    before: int | None = None
    state: Literal["open", "raised", "acknowledged", "cleared"] | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Selects signals or deliveries; None selects any.

    `accounts` are those that the asking role may see. `beyond` is the delivery after which a listing goes on.
    `ids`, `after` (exclusive) and `upto` (inclusive) are ids of signals. `order` is an order's id or its reference.
    `since` (inclusive) and `until` (exclusive) bound the time of receipt. A signal matches `route` and `state` if one
    of its deliveries does. `undelivered` leaves out deliveries that were delivered.
    """

    ids: Sequence[int] | None = None
    after: int | None = None
    upto: int | None = None
    account: str | None = None
    route: str | None = None
    type: str | None = None
    order: str | None = None
    state: State | None = None
    since: float | None = None
    until: float | None = None
    undelivered: bool = False
    accounts: Sequence[str] | None = None
    beyond: DeliveryKey | None = None


@dataclass(frozen=True, slots=True)
class ReplayJob:
    """A replay that runs in the background. Signals from `began_with` to `ends_with` are looked at, in their order.

    Signals up to `reached` are done; `found` counts the deliveries so far by (account, route). `scope` is that of the
    role that began it.
    """

    id: int
    actor: Actor
    scope: str
    which: Filter
    dry_run: bool
    state: Literal["running", "done", "cancelled", "failed"]
    reason: str
    created_at: float
    ended_at: float | None
    began_with: int
    reached: int
    ends_with: int
    found: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Page:
    """Progress of work that goes through ids of signals, from `first` to `last`: ids up to `reached` are done.

    `found` counts this page's deliveries by (account, route).
    """

    first: int
    reached: int
    last: int
    found: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule of custody: of a signal, or of its delivery on `route`."""

    signal_id: int
    account: str
    route: str | None
    problem: str


@dataclass(frozen=True, slots=True)
class CustodyPage(Page):
    """Result of a custody check of one page: its number of signals, its ledger and the violations found.

    The ledger maps (account, route) to the numbers of `accepted`, `delivered`, `pending`, `dead` and `filtered`.
    Signals that a route did not ask for count as accepted and filtered.
    """

    signals: int
    ledger: Mapping[tuple[str, str], Mapping[str, int]]
    violations: Sequence[Violation]


@dataclass(frozen=True, slots=True)
class RouteState:
    """Stored state of a route: its breaker (see gateway.policy.Breaker) and its pause by people."""

    account: str
    route: str
    paused: bool = False
    failures: int = 0
    opened: int = 0
    probe_at: float = 0.0
    reason: str = ""
    paused_at: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Pending deliveries of a route: their number, and how many of them are heads of lanes (leased ones too).

    `oldest_at` is the creation time of the oldest pending delivery that is no replay, else of the oldest replay.
    """

    pending: int
    due: int
    oldest_at: float | None


@dataclass(frozen=True, slots=True)
class Purged:
    """Rows that one page of a purge removed, and the last signal it read; None if no more signals are old."""

    signals: int
    deliveries: int
    reached: int | None


@dataclass(frozen=True, slots=True)
class DroppedPartition:
    """Rows that went with a dropped partition, and how many of its signals stay in the store.

    `since` and `until` bound the times of receipt. `kept` is None if too many signals would stay: the partition was
    not dropped then.
    """

    since: float
    until: float
    signals: int
    deliveries: int
    kept: int | None


class Settled(NamedTuple):
    """A look at ids of signals: those up to `last` are committed, or never will be, once all of `writers` have ended.

    `writers` are transactions that write signals, as the database names them.
    """

    last: int
    writers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Followed:
    """Result of adding signals to order states: their number.

    `mine` is False while another gateway follows. `more` is True if more signals can be added at once. `cost` is the
    CPU time in seconds.
    """

    added: int = 0
    mine: bool = True
    more: bool = False
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Selects orders; None selects any.

    `accounts` are names. `stages` are numbers of gateway.signal_types; `problems` is True for orders with an open
    problem, False for others. `since` is the time of receipt of the last signal (inclusive). `stuck_before` selects
    orders that are not shipped or have an open problem, where an item has been at its stage since before that time.
    """

    accounts: Sequence[str] | None = None
    stages: Sequence[int] | None = None
    problems: bool | None = None
    since: float | None = None
    stuck_before: float | None = None


class HourlySignals(NamedTuple):
    """Number of an account's signals of one type, or requests with one answer. `hour` is its beginning in seconds."""

    hour: float
    account: str
    type: str
    answer: str
    number: int


class HourlyDeliveries(NamedTuple):
    """Number of a route's attempts with one outcome. `hour` is its beginning in seconds."""

    hour: float
    account: str
    route: str
    outcome: str
    number: int


@dataclass(frozen=True, slots=True)
class Activity:
    """An account's signals: receipt of the first and of the last, and their number."""

    first_at: float
    last_at: float
    signals: int


@dataclass(frozen=True, slots=True)
class Action:
    """A recorded action of a person, a program or a command: time, actor, origin and details.

    `origin` is the address that it came from, or "command line" or "gateway". `account` is None if the action concerns
    no single account.
    """

    id: int
    at: float
    actor: str
    action: str
    detail: Mapping[str, Any]
    account: str | None = None
    origin: str = ""
