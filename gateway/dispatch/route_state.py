"""A route's state while this gateway runs: its breaker, pause, ownership, rate, and the attempts that run."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

import structlog

from gateway import policy
from gateway.dispatch.refusals import Refusals
from gateway.dispatch.tuning import DEFAULT_TUNING, Tuning
from gateway.errors import StoreError
from gateway.metrics import Observer
from gateway.model import Delivery, Kind, Outcome, Route, RouteKey
from gateway.sink.api import Sink
from gateway.store.contract import Queue
from gateway.store.values import RouteState
from gateway.token_bucket import TokenBucket

log = structlog.get_logger()

NEVER = float("inf")
ASKED_FOR = 0.0
"""Time of a probe in the store that a person asks for. The gateway itself writes no such time."""
MANY = 2**31
"""More deliveries than any route may start."""


class Ownership(enum.Enum):
    """Exclusive ownership of a route, for a sink with a single writer on a store that gateways share."""

    NOT_NEEDED = enum.auto()
    """Any gateway may work on the route."""
    WAITING = enum.auto()
    """Another gateway owns the route, or may."""
    OWNED = enum.auto()
    """This gateway owns the route for a time, which the heartbeat renews."""


class LiveRouteState:
    """A route's state in this gateway. The store keeps a part of it over restarts: gateway.store.values.RouteState.

    `due` is a hint: the time from which the next delivery can be claimed, None if nothing waits.
    """

    def __init__(
        self,
        route: Route,
        sink_class: type[Sink],
        *,
        now: Callable[[], float],
        rng: random.Random,
        observer: Observer,
        tuning: Tuning = DEFAULT_TUNING,
    ) -> None:
        self.route = route
        self.sink_class = sink_class
        self.due: float | None = None
        self.breaker = policy.Breaker()
        self.paused = False
        self.retired = False
        self.ownership = Ownership.NOT_NEEDED
        self.running = 0
        self.replaying = 0
        self._refusals = Refusals()
        self._second_opinion_at = NEVER
        self._asked = False
        self._owned_until = 0.0
        self._now = now
        self._rng = rng
        self._observer = observer
        self._tuning = tuning
        self._rate = TokenBucket(route.rate) if route.rate else None
        self._log: Any = log.bind(**route.log_context())
        self._stored: policy.Breaker | None = None
        self._shown: policy.Status | None = None

    @property
    def tenant(self) -> str:
        return self.route.tenant

    @property
    def key(self) -> RouteKey:
        return self.route.account, self.route.name

    @property
    def batch(self) -> int:
        return self.sink_class.batch

    @property
    def followed(self) -> bool:
        """True once the state that the store keeps of the route is known."""
        return self._stored is not None

    @property
    def is_unmarked(self) -> bool:
        """True if it is known that the store keeps no state of the route, as of most."""
        return self.followed and not self.paused

    # -- slots

    def slots(self, now: float) -> int:
        """Return how many more deliveries may start now. All reasons for none are listed here."""
        if self.paused:  # by people
            return 0
        if self.retired:  # by a reload or a stop
            return 0
        if not self.is_ours(now):  # owned by another gateway
            return 0
        allowed = int(self._rate.available(now)) if self._rate else MANY  # by the route's rate
        if self.breaker.closed:
            calls = self.breaker.slots(self.route.concurrency, self.running, now)  # all calls run
            return min(calls * self.batch, allowed)
        resting = replace(self.breaker, probe_at=self._probes_at())
        probes = resting.slots(self.route.concurrency, self.running, now)  # the target fails
        return self._tuning.probe_choice if probes and allowed else 0

    def is_ours(self, now: float) -> bool:
        """Return True if this gateway may work on the route."""
        if self.ownership is Ownership.OWNED:
            return now < self._owned_until
        return self.ownership is Ownership.NOT_NEEDED

    def takes_questions(self, now: float) -> bool:
        """Return True if the sink may be asked for orders: the route neither rests nor stops, and it is ours."""
        return not self.paused and not self.retired and self.breaker.closed and self.is_ours(now)

    def replay_slots(self) -> int:
        """Return how many more of the deliveries in hand may be replays."""
        limit = max(1, int(self.route.concurrency * self.batch * self._tuning.replay_share))
        return max(0, limit - self.replaying)

    def opens_at(self, now: float) -> float | None:
        """Return the time from which there may be slots again. None: an attempt must end, or a person act, first."""
        if self.paused or self.retired:
            return None
        if not self.breaker.closed and now < self._probes_at():
            return self._probes_at()
        delay = self._rate.delay(now) if self._rate else 0.0
        return now + delay if delay else None

    def begin(self, calls: int, deliveries: Iterable[Delivery]) -> None:
        """Count deliveries as running, in so many calls."""
        deliveries = list(deliveries)
        if self._rate:
            self._rate.take(self._now(), len(deliveries))
        self.running += calls
        self.replaying += count_replays(deliveries)

    def end(self, deliveries: Iterable[Delivery]) -> None:
        """Count the deliveries of one call as ended."""
        self.running -= 1
        self.replaying -= count_replays(deliveries)

    # -- probes

    def _probes_at(self) -> float:
        return min(self.breaker.probe_at, self._second_opinion_at)

    def choose(self, deliveries: Sequence[Delivery], now: float) -> Sequence[Delivery]:
        """Return those of the claimed deliveries that may start. Of a route whose breaker is open, at most one may.

        Before the time of its probe, a route may be tried with another delivery than the one that failed or was
        refused: a second opinion.
        """
        if self.breaker.closed or not deliveries:
            return deliveries
        if self.running or now < self._probes_at():  # race: it opened during the claim
            return []
        if self._asked:  # the delivery that a person chose is the first
            self._asked = False
            return deliveries[:1]
        if now >= self.breaker.probe_at:
            return [self._refusals.choose_probe(deliveries)]
        other = self._refusals.find_blameless(deliveries)
        if other is None:
            self._second_opinion_at = now + self._tuning.second_opinion_again
            return []
        return [other]

    def expect_more(self) -> None:
        """Note that signals were committed for the route: one of another order may give a second opinion."""
        if self._second_opinion_at != NEVER:
            soon = self._now() + self._tuning.second_opinion_soon
            self._second_opinion_at = min(self._second_opinion_at, soon)

    # -- ownership

    def wait_for_ownership(self) -> None:
        """Start nothing until this gateway owns the route."""
        self.ownership = Ownership.WAITING

    def own(self, until: float) -> bool:
        """Own the route until then; return True if this gateway did not own it before."""
        gained = self.ownership is Ownership.WAITING
        self.ownership, self._owned_until = Ownership.OWNED, until
        return gained

    # -- breaker and pause

    def follow(self, state: RouteState) -> None:
        """Take over the stored state: a pause by people at each call, the breaker at the first call only."""
        if not self.followed:
            self._stored = policy.Breaker.from_state(state)
            self.breaker = self._stored = policy.after_restart(self._stored, self.route.retry, self._now())
            if self.route.broken:  # known without an attempt
                self.turn_breaker(Outcome(Kind.MISCONFIGURED, self.route.broken), self._now())
        elif asks_for_probe(state) and self._stored and not self.breaker.closed and self._stored.probe_at:
            self.breaker = self._stored = replace(self.breaker, probe_at=ASKED_FOR)
            self._asked = True
        if state.paused != self.paused:
            self.paused = state.paused
            event = "route.paused" if state.paused else "route.resumed"
            self._log.info(event, **({"why": state.why} if state.why else {}))
        self._show()

    def is_own_fault(self, delivery: Delivery, outcome: Outcome, alone: bool = True) -> bool:
        """Note an outcome. Return True if the target refuses this delivery, and takes others of the route.

        `alone` is False if the whole call of several deliveries was refused.
        """
        if outcome.kind is Kind.DELIVERED:
            self._refusals.take()
        if outcome.kind is Kind.RETRY and not outcome.healthy:
            self._refusals.fail(delivery.signal.id)
        return outcome.kind is Kind.MISCONFIGURED and self._refusals.refuse(delivery.signal.id, alone)

    def turn_breaker(self, outcome: Outcome, now: float, own_fault: bool = False) -> None:
        """Update the breaker by an attempt's outcome. A refusal that is the delivery's own fault opens no breaker."""
        before = self.breaker
        if own_fault and before.closed:
            return
        self.breaker = policy.after_outcome(before, outcome, self.route.retry, now, self._rng)
        if self.breaker.closed:
            self._second_opinion_at, self._asked = NEVER, False
        elif self.breaker != before:
            self._second_opinion_at = NEVER if self._refusals.confirmed else now + self._tuning.second_opinion_after
        if self.breaker.closed and not before.closed:
            self._log.info("route.closed")
        elif not self.breaker.closed and self.breaker.probe_at != before.probe_at:
            event = "route.misconfigured" if self.breaker.misconfigured else "route.opened"
            probe = round(self.breaker.probe_at - now, 1)
            self._log.error(event, reason=self.breaker.reason, probe_in=probe)
        self._show()

    async def save_breaker(self, store: Queue) -> None:
        """Save the breaker if it opened, closed or has a new probe time since it was saved last."""
        breaker, stored = self.breaker, self._stored or policy.Breaker()
        if breaker == stored or (breaker.closed and stored.closed):
            return
        self._stored = breaker  # before the wait, so that attempts that end together save it once
        try:
            await store.save_route_state(RouteState(*self.key, **asdict(breaker)))
        except StoreError as error:
            self._stored = stored
            self._log.warning("route.state_not_saved", reason=str(error))

    def _show(self) -> None:
        status = self.breaker.status(self.paused)
        if status is not self._shown:
            self._shown = status
            self._observer.route_state(*self.key, self.route.sink, status)

    def hide(self) -> None:
        """Take the route out of the metrics."""
        if self._shown is not None:
            self._shown = None
            self._observer.route_gone(*self.key, self.route.sink)


def asks_for_probe(state: RouteState) -> bool:
    """Return True if a person asks for a probe of a resting route."""
    return bool(state.reason) and state.probe_at == ASKED_FOR


def count_replays(deliveries: Iterable[Delivery]) -> int:
    return sum(delivery.replayed for delivery in deliveries)
