"""Promises of the store. One suite, tests/contract, tests them on each database.

Atomicity. Each write below is one transaction: it is on disk (fsync) when its awaitable resolves, or nothing of it is
when it raises. Writes that wait together share a transaction and an fsync; the writes that senders wait for have
transactions of their own. A write that fails, fails alone. Writes of one kind run in the order of the calls.
Cancelling an awaitable does not undo the write.

States. A delivery is in exactly one state: `pending` (due, waiting for its lane's head, leased or held), `delivered`,
`dead` or `filtered`.

Lanes. Of the pending deliveries of one (account, route, lane) that are not held, exactly one is the head: it alone has
`due_at` and can be claimed. When the head ends, the first accepted of the waiting deliveries becomes the head, live
ones before replays. A live head stays the head until it ends: a delivery with a lower id that joins the lane waits
behind it, and comes next. A replay that is the head makes way for a live delivery, unless it is leased; then it makes
way when it is to be retried.

Leases. A claimed delivery is leased, and nobody else can claim it before the lease ends. A result is taken only from
the lease's owner, also after the lease ran out, as long as nobody else has claimed the delivery.

Times are seconds since the epoch, exact to the microsecond, given by the caller: the store reads no clock. Every method
raises StoreError if the work failed or the store is closed. Awaitables belong to the event loop on which the store was
opened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.model import Attempt, Delivery, Signal
from gateway.store.contract_accounts import Accounts
from gateway.store.contract_alerts import Alerts
from gateway.store.contract_orders import Orders
from gateway.store.contract_replays import ReplayJobs
from gateway.store.contract_upkeep import Upkeep
from gateway.store.values import (
    Accepted,
    Action,
    Actor,
    Backlog,
    Claim,
    ClaimRequest,
    CustodyPage,
    DeliveryRow,
    Filter,
    MadeKnown,
    Page,
    QuarantineRow,
    Refused,
    Result,
    RouteState,
    SignalRow,
    Target,
)

ANY = Filter()
"""A filter that selects everything."""


class Inbox(Protocol):
    """Custody of signals. Both methods raise StoreBusy, before anything is written, if the queue is full."""

    async def accept(self, signal: Signal, targets: Sequence[Target], unrouted: Sequence[str], hold: bool) -> Accepted:
        """Write a signal and its deliveries, unless its identity is known.

        `unrouted` names the routes with filters that the signal did not match. With `hold`, the deliveries wait until
        the signal's order or reference is made known.
        """
        ...

    async def quarantine(self, refused: Refused) -> int:
        """Keep a refused request, and return its id. An account's equal bodies are kept once."""
        ...


class Queue(Protocol):
    """Deliveries and the state of their routes, for the dispatcher.

    The number of its writes is bounded by the attempts that run.
    """

    shared: bool
    """True if other gateways may serve from the store at the same time. Then leases are short and renewed, and no
    gateway takes back another's claims."""

    async def claim(self, requests: Sequence[ClaimRequest], now: float, lease_until: float) -> Claim:
        """Lease due heads of lanes: on each route the oldest due first, then the lowest id, up to the limit.

        Replays come only where live deliveries leave room. `attempt` is one more than the recorded attempts. Leased
        deliveries that can't be read are given back.
        """
        ...

    async def record(self, results: Sequence[Result], state: Mapping[tuple[str, str], Mapping[str, Any]]) -> int:
        """Write results and the sinks' state changes in one transaction; return how many results were taken.

        A result is left out with its attempt if its lease has another owner by now; state changes are kept. A result
        that ends a lane's head promotes the next. Raises TypeError if a state value is no JSON.
        """
        ...

    async def renew(self, deliveries: Sequence[Delivery], lease_until: float) -> int:
        """Extend the leases of claimed deliveries that still have their owner; return their number."""
        ...

    async def release(self, deliveries: Sequence[Delivery]) -> int:
        """End the leases of claimed deliveries that do not start; return the number of leases ended.

        They are due as before, and count no attempt.
        """
        ...

    async def list_held_accounts(self, since: float) -> Sequence[str]:
        """Return the accounts with deliveries held since then; 0 means any. The cost grows with the held deliveries."""
        ...

    async def list_held_orders(self, account: str, since: float, after: str, limit: int) -> Sequence[str]:
        """Return the order references of an account's signals held since then, in order, beginning after `after`."""
        ...

    async def own_routes(
        self, routes: Sequence[tuple[str, str]], owner: str, now: float, until: float
    ) -> set[tuple[str, str]]:
        """Acquire or renew exclusive ownership of routes until a time; return the routes owned now.

        Others can own a route once its owner's time has run out. `until` at `now` releases the routes.
        """
        ...

    async def read_next_due(self, routes: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], float]:
        """Return when each route can next be claimed from; routes with nothing pending are left out."""
        ...

    async def release_leases(self, now: float) -> int:
        """End all leases, at the start of the only gateway on this store; return their number."""
        ...

    async def reset_due_times(self, now: float, latest: float) -> int:
        """Make deliveries that are due after `latest` due now, at the start of a gateway; return their number.

        An earlier process may have set such times while its clock was ahead.
        """
        ...

    async def save_route_state(self, state: RouteState) -> None:
        """Save a route's breaker. The pause is left as it is."""
        ...

    async def read_route_states(self) -> Mapping[tuple[str, str], RouteState]:
        """Return the stored states of routes; routes without one are left out."""
        ...

    async def read_sink_state(self, account: str, route: str) -> Mapping[str, Any]:
        """Return the key-value store of a route."""
        ...

    def on_notification(self, tell: Callable[[Sequence[tuple[str, str]]], None]) -> None:
        """Call `tell` on the event loop with routes for which another process has committed something.

        An empty list means any route. Not every store notifies, and notifications may be lost: they only save waiting.
        """
        ...


class Records(Protocol):
    """Look-ups and changes by people, for any front end."""

    async def set_paused(self, account: str, route: str, paused: bool, now: float, why: str) -> None:
        """Pause or resume a route, and record the action. Claims don't look at pauses: the dispatcher does."""
        ...

    async def read_route_states(self) -> Mapping[tuple[str, str], RouteState]:
        """Return the stored states of routes; routes without one are left out."""
        ...

    async def read_backlog(self) -> Mapping[tuple[str, str], Backlog]:
        """Return the backlog of each route with pending deliveries. The cost grows with them, not with history."""
        ...

    async def count_dead(self) -> Mapping[tuple[str, str], int]:
        """Return the number of dead letters of each route that has any. The cost grows with them, not with history."""
        ...

    async def count_quarantined(self) -> Mapping[str, int]:
        """Return the number of requests in quarantine of each account that has any. The cost grows with them."""
        ...

    async def try_now(self, account: str, route: str, signal_id: int | None, now: float, action: str) -> bool:
        """Make the head of a lane due before all others of its route, and a resting route's probe due.

        Record the action. Without a signal, the next due delivery probes. Return False, and change nothing, if the
        delivery is no head of its lane, or is leased.
        """
        ...

    async def skip(self, account: str, route: str, signal_id: int, now: float, why: str) -> bool:
        """End a pending delivery as filtered, and record the action; its lane goes on.

        Return False, and change nothing, if the delivery is not pending, or is leased.
        """
        ...

    def replay(self, which: Filter, now: float) -> AsyncIterator[Page]:
        """Make matching deliveries that have ended (dead, delivered or filtered) pending again.

        They are due now, or wait in their lanes by the rule above. Attempts count from 1 again, and the time to give
        up starts `now`; earlier failed attempts stay listed.

        Pages go by signal, oldest first, each a short transaction. The caller decides how long to wait between pages,
        so that a replay of any size leaves time to live traffic; it may stop after any page. Signals accepted meanwhile
        are left out, and no delivery is replayed twice, though it may have ended again.
        """
        ...

    def count_replay(self, which: Filter) -> AsyncIterator[Page]:
        """Count page by page the deliveries that `replay` would make pending again."""
        ...

    async def add_known_orders(self, account: str, orders: Sequence[str], now: float) -> MadeKnown:
        """Make orders (ids or references) known to an account, and free the deliveries held for them as if made `now`.

        Empty names are left out.
        """
        ...

    async def list_signals(self, which: Filter, limit: int) -> Sequence[SignalRow]:
        """Return signals, newest first."""
        ...

    async def list_signals_after(self, which: Filter, after: int, limit: int) -> Sequence[Signal]:
        """Return signals with ids above `after`, in the order of their ids: a page that begins where another ended."""
        ...

    async def count_signals(self, which: Filter) -> int:
        """Return how many signals match."""
        ...

    async def list_deliveries(self, which: Filter, limit: int) -> Sequence[DeliveryRow]:
        """Return deliveries, newest first."""
        ...

    async def read_heads(self, signal_id: int) -> Mapping[str, DeliveryRow]:
        """Return the heads of the lanes in which a signal's deliveries wait, by route."""
        ...

    async def read_attempts(self, signal_id: int) -> Mapping[str, Sequence[Attempt]]:
        """Return the failed attempts of a signal's deliveries by route, in order."""
        ...

    async def list_quarantined(self, which: Filter, limit: int) -> Sequence[QuarantineRow]:
        """Return quarantined requests, newest first; the filter counts as in `list_quarantined_oldest`."""
        ...

    async def list_quarantined_oldest(self, which: Filter, limit: int) -> Sequence[QuarantineRow]:
        """Return quarantined requests, oldest first.

        Of the filter, `account`, `accounts`, `since` and `until` count, and `ids`, `after` and `upto`, which are ids of
        quarantine.
        `order` finds the bodies that contain the text.
        """
        ...

    async def release_quarantined(self, quarantine_id: int, signal: Signal, now: float) -> bool:
        """Mark a quarantined request as accepted after all, as that signal, and record the action.

        The request is kept, but not listed any more. Return False if it was not in quarantine.
        """
        ...

    def check_custody(self, after: int = 0) -> AsyncIterator[CustodyPage]:
        """Check custody page by page, while others write.

        Of the signals above the id `after`: each has as many deliveries as it was given; each delivery has its signal,
        and exactly one state that all its columns agree with; each lane in which a delivery waits, unheld, has exactly
        one head. Signals accepted meanwhile are left out.
        """
        ...

    async def record_action(self, action: str, detail: Mapping[str, Any], now: float) -> None:
        """Record an action of a person, a program or a command; it concerns the account that `detail` names."""
        ...

    async def list_actions(self, action: str | None, limit: int, which: Filter = ANY) -> Sequence[Action]:
        """Return recorded actions, newest first.

        Of the filter, `account` and `accounts` count, and `after` and `upto`, which are ids of actions.
        """
        ...


class Store(Inbox, Queue, Records, ReplayJobs, Upkeep, Accounts, Alerts, Orders, Protocol):
    """The whole store of one gateway process. Users of it ask for the narrow protocol that they need."""

    def acting_as(self, actor: Actor) -> Store:
        """Return this store for another actor: what is changed through it is recorded as done by that one.

        It has the same connections, and is not closed by itself.
        """
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """Place and options of a store.

    `actor` and `origin` are recorded with actions. `password` is for a URL without one. With `pooler`, each transaction
    may be given another session of the database. `queue` is the number of writes that may wait before senders are
    refused.
    """

    url: str = field(repr=False)
    queue: int = 10_000
    actor: str = "gateway"
    origin: str = "gateway"
    password: str = field(default="", repr=False)
    pooler: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
