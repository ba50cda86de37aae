"""What goes into the store and comes out of it. What it means stands in gateway.store.contract.

Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from gateway.model import Attempt, Decision, Delivery, Signal

State = Literal["delivered", "pending", "dead", "filtered"]
STATES: tuple[str, ...] = get_args(State)
"""Every state of a delivery, in the order in which a ledger shows them."""


class Target(NamedTuple):
    """A route that a signal is to reach: its name and lane (None: no order to keep)."""

    route: str
    lane: str | None


class Accepted(NamedTuple):
    """`signal_id` grows from one to the next, not always by one; 0 for a duplicate, of which nothing was written."""

    signal_id: int
    duplicate: bool
    held: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A request with a right key that was no valid signal, for quarantine. `body` holds no key."""

    account: str
    received_at: float
    body: str
    errors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Room for `limit` more deliveries on a route, of which `replays` may be replays (None: all)."""

    account: str
    route: str
    limit: int
    replays: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim gave, in the order of the wants. `next_due` maps (account, route) to when more may be claimed, for
    each route wanted that has something pending, of what is leased when its lease ends; a time in the past means there
    is more right now. Where
    the claim has used up the room for replays, those that are left do not count."""

    deliveries: Sequence[Delivery]
    next_due: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a claimed delivery. `attempt` is None for a success or where nothing was tried."""

    delivery: Delivery
    decision: Decision
    attempt: Attempt | None
    ended_at: float


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as listed; `late` is its signal's."""

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

    @property
    def leased(self) -> bool:
        """Whether somebody delivers it, or did and was lost: until `leased_until`, nobody else can claim it."""
        return self.leased_until is not None


@dataclass(frozen=True, slots=True)
class SignalRow:
    """A signal as listed: with how many deliveries it was given, and the routes that did not ask for it."""

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
class Filter:
    """Which signals or deliveries to list or replay; None asks for any. `ids` are signals' ids; they are above `after`
    and up to `upto`. `order` is an id or a reference. Received from `since` on and before `until`. Signals match by
    `route` and `state` of a delivery."""

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


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a long work: of the signals from `first` to `last`, those up to `reached` are done with. `found` is how
    many deliveries this part had, by (account, route)."""

    first: int
    reached: int
    last: int
    found: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that an audit found wrong: with a signal, or with its delivery on `route`."""

    signal_id: int
    account: str
    route: str | None
    problem: str


@dataclass(frozen=True, slots=True)
class CustodyPage(Page):
    """A part of an audit: how many signals it had, their ledger by (account, route), and what is wrong."""

    signals: int
    ledger: Mapping[tuple[str, str], Mapping[str, int]]
    violations: Sequence[Violation]


@dataclass(frozen=True, slots=True)
class RouteState:
    """What the store remembers of a route: the fields of its breaker (see gateway.policy.Breaker), and whether people
    have paused it, since when and why."""

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
    """What a route has pending: how many deliveries in all, how many of them are due now or at a time of their own
    (heads of lanes, leased ones too), and since when the oldest is: of those not replayed, if there are any, the one
    accepted first."""

    pending: int
    due: int
    oldest_at: float | None


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge has removed, and the last signal it looked at; None where there are no more old ones."""

    signals: int
    deliveries: int
    reached: int | None


@dataclass(frozen=True, slots=True)
class DroppedPartition:
    """A part of the store whose time has passed, by when its signals were received: what was removed with it, as
    counted just before, and how many of its signals stay in the store. `kept` is None where too many would, and the
    part was left as it is."""

    since: float
    until: float
    signals: int
    deliveries: int
    kept: int | None


@dataclass(frozen=True, slots=True)
class Action:
    """An entry of the history: who did what by hand, and when."""

    id: int
    at: float
    actor: str
    action: str
    detail: Mapping[str, Any]
