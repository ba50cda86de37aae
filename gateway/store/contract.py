"""What the gateway sees of its store, and what the store promises. One suite, tests/contract, holds each backend to it.

Atomicity. Each write below is one transaction, wholly on disk (fsync) when its awaitable resolves, or not at all when
it raises. Writes that wait together share a transaction and an fsync, those that senders wait for apart from the rest;
one that fails, fails alone. Writes run in the order of the calls that made them, within a kind. Cancelling an awaitable
does not undo the write.

States. A delivery is in exactly one: `pending` (due, waiting for its lane's head, leased or held), `delivered`,
`dead` or `filtered`.

Lanes. Of the pending deliveries of one (account, route, lane) that are not held, exactly one is the head: it alone has
`due_at` and can be claimed. When it ends, the first accepted of those that wait becomes the head, live ones before
replays. A live head stays the head until it ends: what joins the lane with a lower id waits behind it and comes next.
A replay that is the head gives way to a live delivery, unless it is leased; then it does so when it is to be retried.

Leases. What was claimed is leased, and nobody else can claim it before the lease ends. A result is taken only
from the holder, also after the lease ran out as long as nobody else has claimed it.

Times are seconds since the epoch, exact to the microsecond, given by the caller; the store reads no clock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.model import Attempt, Delivery, Signal
from gateway.store.values import (
    Accepted,
    Action,
    Backlog,
    Claim,
    ClaimRequest,
    CustodyPage,
    DeliveryRow,
    DroppedPartition,
    Filter,
    Page,
    Purged,
    QuarantineRow,
    Refused,
    Result,
    RouteState,
    SignalRow,
    Target,
)


class Store(Protocol):
    """The store of one gateway process. Its awaitables belong to the event loop it was opened on.

    Raises StoreError when the work failed or the store is closed. `accept` and `quarantine` raise StoreBusy, before
    anything is written, when the queue is full; the gateway's own writes are bounded by what it runs.
    """

    shared: bool
    """Whether other gateways may serve from it at the same time: then leases are short and renewed, and nobody takes
    back what another has claimed."""

    # -- custody

    async def accept(self, signal: Signal, targets: Sequence[Target], unrouted: Sequence[str], hold: bool) -> Accepted:
        """Write a signal and its deliveries, unless its identity is known. `unrouted` names the routes that did not
        ask for it. With `hold`, deliveries of a signal wait until its order or reference is made known."""
        ...

    async def quarantine(self, refused: Refused) -> int:
        """Keep a refused request; its id. The same body of the same account is kept once."""
        ...

    # -- delivery

    async def claim(self, wants: Sequence[ClaimRequest], now: float, lease_until: float) -> Claim:
        """Lease due heads of lanes, on each route the oldest due first (then the lowest id), up to its limit; replays
        only where live ones leave room. `attempt` counts one more than the attempts recorded. What can't be read, once
        it is leased, is given back."""
        ...

    async def record(self, results: Sequence[Result], state: Mapping[tuple[str, str], Mapping[str, Any]]) -> int:
        """Write results and the sinks' state changes with them, in one transaction; how many results were taken.
        A result whose lease is no longer the holder's is left out, its attempt too; state changes are kept. What ends
        a lane's head frees the next. TypeError where a state value is no JSON."""
        ...

    async def renew(self, deliveries: Sequence[Delivery], lease_until: float) -> int:
        """Have the leases of claimed deliveries last longer, of those that are still the holder's; how many."""
        ...

    async def own_routes(
        self, routes: Sequence[tuple[str, str]], owner: str, now: float, until: float
    ) -> set[tuple[str, str]]:
        """Keep routes for one gateway until then, again and again; those that are its own now. Others get a route once
        its holder's time has run out, at once where that ended it with `until` at `now`."""
        ...

    async def read_next_due(self, routes: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], float]:
        """When each route can next be claimed from; routes with nothing waiting are left out."""
        ...

    async def release_leases(self, now: float) -> int:
        """At the start of the only gateway on this store: what an earlier process had claimed is due again."""
        ...

    async def reset_due_times(self, now: float, latest: float) -> int:
        """At the start too, after the leases: what is due after `latest`, as an earlier process with a clock that was
        ahead may have said, is due now; how many."""
        ...

    # -- routes

    async def save_route_state(self, state: RouteState) -> None:
        """Remember a route's breaker. What belongs to a pause is left as it is."""
        ...

    async def set_paused(self, account: str, route: str, paused: bool, now: float, why: str) -> None:
        """Pause or resume a route; noted in the history. The store only remembers it: claims do not look at it."""
        ...

    async def read_route_states(self) -> Mapping[tuple[str, str], RouteState]:
        """What is remembered, of the routes of which anything is."""
        ...

    async def read_backlog(self) -> Mapping[tuple[str, str], Backlog]:
        """What each route has pending; routes with nothing are left out. Costs by what is pending, not by history."""
        ...

    # -- looking and mending

    def replay(self, which: Filter, now: float) -> AsyncIterator[Page]:
        """Make matching deliveries that have ended (dead, delivered or filtered) pending again. They are due now or
        wait in their lanes by the rule above. Attempts count from 1 again and the time to give up starts `now`; the
        failed attempts of before stay listed.

        Page by page, oldest signals first: each is a short transaction of its own, so that a replay of any size stands
        in nobody's way. Who takes no further page leaves the rest as it is. What is accepted meanwhile is not looked
        at, and no delivery is replayed twice, though it may have ended again."""
        ...

    def count_replay(self, which: Filter) -> AsyncIterator[Page]:
        """What `replay` would do, page by page."""
        ...

    async def add_known_orders(self, account: str, orders: Sequence[str], now: float) -> int:
        """Make orders (ids or references) known to an account and free what was held for them, as if made `now`; how
        many freed."""
        ...

    async def read_sink_state(self, account: str, route: str) -> Mapping[str, Any]:
        """A route's key-value store."""
        ...

    async def list_signals(self, which: Filter, limit: int) -> Sequence[SignalRow]:
        """Newest first."""
        ...

    async def list_signals_after(self, which: Filter, after: int, limit: int) -> Sequence[Signal]:
        """Those with an id above `after`, in the order of their ids: any window in pages, each from where one ended."""
        ...

    async def count_signals(self, which: Filter) -> int:
        """How many match."""
        ...

    async def list_deliveries(self, which: Filter, limit: int) -> Sequence[DeliveryRow]:
        """Newest first."""
        ...

    async def read_heads(self, signal_id: int) -> Mapping[str, DeliveryRow]:
        """The heads of the lanes in which deliveries of a signal wait, by route."""
        ...

    async def read_attempts(self, signal_id: int) -> Mapping[str, Sequence[Attempt]]:
        """The failed attempts of a signal's deliveries, by route, in order."""
        ...

    async def list_quarantined(self, account: str | None, limit: int) -> Sequence[QuarantineRow]:
        """What is in quarantine, newest first."""
        ...

    async def list_quarantined_oldest(self, which: Filter, limit: int) -> Sequence[QuarantineRow]:
        """The same, oldest first. Of the filter count `ids`, `after` and `upto`, here of quarantine, `account`, `since`
        and `until`."""
        ...

    async def release_quarantined(self, quarantine_id: int, signal: Signal, now: float) -> bool:
        """Take a request out of quarantine that was accepted after all, as the signal of that identity; noted in the
        history. It is kept, marked. False where it was not in quarantine."""
        ...

    def check_custody(self, after: int = 0) -> AsyncIterator[CustodyPage]:
        """Check custody, page by page and beside whoever writes: each signal above the id `after` has as many
        deliveries as it was given, each delivery its signal and exactly one state that all its fields agree with, and
        where any waits in a lane, unheld, the lane has exactly one head. What is accepted meanwhile is left out."""
        ...

    async def record_action(self, action: str, detail: Mapping[str, Any], now: float) -> None:
        """Keep in the history that something was done by hand."""
        ...

    async def list_actions(self, action: str | None, limit: int) -> Sequence[Action]:
        """What was done by hand, newest first."""
        ...

    async def make_partitions(self, now: float, retention: float) -> int:
        """See that there are parts for what comes, where the store keeps in parts what is removed together; how many
        were made. To work without is only slower to remove. Raises StoreError where others would have to wait."""
        ...

    def drop_partitions(self, before: float, dead: bool) -> AsyncIterator[DroppedPartition]:
        """Remove parts that only have signals received before that time, oldest first; what `purge` would leave stays.
        It takes as long for many signals as for few. A part is kept for a day longer, and not every store has parts;
        `purge` removes what is left. Raises StoreError where others would have to wait."""
        ...

    async def purge(self, before: float, after: int, limit: int, dead: bool, unpartitioned: bool = False) -> Purged:
        """Look at the next `limit` signals with ids above `after`, and remove those received before that time, with
        all that belongs to them. One with a delivery that is pending, or that ended since (a replay), stays, and so
        does one with a dead letter, unless `dead`. Without old ones among them, it is the end. With
        `unpartitioned`, those in partitions are left for `drop_partitions`."""
        ...

    async def count_purge(self, before: float, dead: bool) -> int:
        """How many signals would be removed in all."""
        ...

    async def purge_quarantine(self, before: float, limit: int) -> int:
        """Remove requests that were quarantined before that time, `limit` at the most; how many."""
        ...

    async def count_quarantine(self, before: float) -> int:
        """How many quarantined requests would be removed in all."""
        ...

    async def check_writable(self) -> None:
        """Write something, in turn with what else is written. Raises as `accept` does."""
        ...

    def on_failure(self, tell: Callable[[], None]) -> None:
        """Have `tell` called, on the event loop, after each transaction that failed."""
        ...

    def on_notification(self, tell: Callable[[Sequence[tuple[str, str]]], None]) -> None:
        """Have `tell` called, on the event loop, with routes that another process has committed something for; with
        none where it may be any. Not every store does, and no call is certain to come: it only saves waiting."""
        ...

    async def verify(self) -> None:
        """Wait for the check of a store whose last run did not end in order; where there is none, return at once.
        Raises StoreCorrupt where it found damage."""
        ...

    async def close(self) -> None:
        """Finish what waits, then close. Later calls raise StoreError."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the store is and how it works. `actor` is who the history names for what is changed by hand; `password` is
    for a URL that has none; with `pooler`, a transaction may be given any session of the database."""

    url: str = field(repr=False)
    queue: int = 10_000
    actor: str = "gateway"
    password: str = field(default="", repr=False)
    pooler: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
