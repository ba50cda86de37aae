"""Pure decisions: the next step of a delivery after an attempt, and the next state of a route's breaker.

Nothing here acts, reads a clock or draws a random number: `now` (seconds since the epoch) and `rng` are arguments.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass, replace
from typing import Protocol, Self

from gateway.model import Dead, Decision, Delivery, Done, Kind, Outcome, Retry, RetryAt

FAILURES_TO_OPEN = 5
"""Failures in a row that open a route's breaker: one bad order does not open it, and a dead target is soon spared."""
MISCONFIGURED_PROBE = 300.0
"""Seconds between probes of a route after its target refused the settings. A person must act, perhaps at the target
itself, so the gateway probes for it."""


LONGEST_REQUESTED_WAIT = 3600.0
"""Seconds. A target that asks for a longer wait is tried again after this: it may be well long before."""
PLAUSIBLE_WAIT = 30 * 86400.0
"""Seconds. A longer wait is no wish but a wrong clock or a placeholder, such as a date in 9999, and is ignored."""


REFUSALS_TO_GIVE_UP = 3
"""Attempts after which a delivery that is refused while others of its route are taken becomes a dead letter. They are
MISCONFIGURED_PROBE apart, so that a target which learns of an order a little later still gets it."""


def decide(
    delivery: Delivery, outcome: Outcome, retry: Retry, now: float, rng: random.Random, own_fault: bool = False
) -> Decision:
    """Return the next step of a delivery after an attempt.

    `own_fault` is True if the target refuses the delivery and takes others of the route.
    """
    match outcome.kind:
        case Kind.DELIVERED:
            return Done("delivered")
        case Kind.SKIPPED:
            return Done("filtered", outcome.reason)
        case Kind.PERMANENT:
            return Dead(outcome.reason)
        case Kind.MISCONFIGURED if own_fault:
            return after_refusal(delivery, outcome, now)
        case Kind.MISCONFIGURED | Kind.RELEASED:
            return RetryAt(now, outcome.reason, counted=False)
    return after_failure(delivery, outcome, retry, now, rng)


def after_refusal(delivery: Delivery, outcome: Outcome, now: float) -> Decision:
    """Return the next step of a delivery that the target refuses while it takes others of the route."""
    if delivery.attempt < REFUSALS_TO_GIVE_UP:
        return RetryAt(now + MISCONFIGURED_PROBE, outcome.reason)
    return Dead(f"refused {delivery.attempt} times, while others of the route were taken: {outcome.reason}")


def after_failure(delivery: Delivery, outcome: Outcome, retry: Retry, now: float, rng: random.Random) -> Decision:
    """Return the next step of a delivery that failed for now: a retry, or a dead letter after the time to give up."""
    end = delivery.created_at + retry.give_up_after
    requested = requested_wait(outcome.after)
    if not outcome.firm:  # leave time for one more try before the end
        requested = min(requested, end - now - retry.first)
    at = now + max(backoff(delivery.attempt, retry, rng), requested)
    if at > end:
        return Dead(f"given up after {delivery.attempt} attempts: {outcome.reason}")
    return RetryAt(at, outcome.reason)


def backoff(attempt: int, retry: Retry, rng: random.Random) -> float:
    """Return the seconds until the next try: exponential with full jitter.

    Full jitter is uniform between 0 and the ceiling. So deliveries that failed together are not tried again together.
    """
    # 63 doublings pass any cap; beyond, the power would overflow a float.
    ceiling = min(retry.cap, retry.first * retry.factor ** min(attempt - 1, 63))
    return rng.uniform(0, ceiling)


def requested_wait(after: object) -> float:
    """Return the seconds that a target asked to wait, at most an hour. 0 if it asked for none, or for nonsense."""
    if not isinstance(after, (int, float)) or not 0 <= after <= PLAUSIBLE_WAIT:
        return 0.0
    return min(float(after), LONGEST_REQUESTED_WAIT)


class Status(enum.IntEnum):
    """The status of a route. The numbers are the values of the metric."""

    RUNNING = 0
    PAUSED = 1
    FAILING = 2
    MISCONFIGURED = 3


class StoredBreaker(Protocol):
    """The fields of a breaker as the store keeps them: see gateway.store.values.RouteState."""

    @property
    def failures(self) -> int: ...
    @property
    def opened(self) -> int: ...
    @property
    def probe_at(self) -> float: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Breaker:
    """A route's breaker. Closed: deliveries flow. Open: none starts until `probe_at`, then one at a time as a probe.

    `failures` counts failures in a row, `opened` the times it opened since it was closed. A closed one has no `reason`.
    """

    failures: int = 0
    opened: int = 0
    probe_at: float = 0.0
    reason: str = ""

    @classmethod
    def from_state(cls, state: StoredBreaker) -> Self:
        """Return the breaker that the store keeps of a route."""
        return cls(state.failures, state.opened, state.probe_at, state.reason)

    @property
    def closed(self) -> bool:
        return not self.reason

    @property
    def misconfigured(self) -> bool:
        """True if it is open because the target refused the settings. That counts as no failure, so it has none."""
        return not self.closed and not self.failures

    def status(self, paused: bool) -> Status:
        """Return the status of the route. A pause by people comes first."""
        if paused:
            return Status.PAUSED
        if self.closed:
            return Status.RUNNING
        return Status.MISCONFIGURED if self.misconfigured else Status.FAILING

    def slots(self, concurrency: int, running: int, now: float) -> int:
        """Return how many more calls the route may start now."""
        if self.closed:
            return max(0, concurrency - running)
        return 1 if now >= self.probe_at and not running else 0


def after_outcome(breaker: Breaker, outcome: Outcome, retry: Retry, now: float, rng: random.Random) -> Breaker:
    """Return the breaker after one more outcome. A dead letter or a skip closes it, as the target answers."""
    if outcome.kind is Kind.RELEASED:
        return breaker
    if outcome.kind is Kind.MISCONFIGURED:
        return Breaker(0, breaker.opened + 1, now + MISCONFIGURED_PROBE, outcome.reason or "misconfigured")
    if outcome.kind is not Kind.RETRY or outcome.healthy:
        return Breaker()
    # The attempt began before the breaker opened, so its result says nothing new about the target.
    if not breaker.closed and now < breaker.probe_at:
        return breaker
    failures = breaker.failures + 1
    if breaker.closed and failures < FAILURES_TO_OPEN:
        return replace(breaker, failures=failures)
    opened = 1 if breaker.misconfigured else breaker.opened + 1
    wait = max(retry.first, backoff(opened, retry, rng), requested_wait(outcome.after))
    return Breaker(failures, opened, now + wait, outcome.reason or "failing")


def after_restart(breaker: Breaker, retry: Retry, now: float) -> Breaker:
    """Return the breaker to start with, from the one that an earlier run left.

    If the settings were refused it probes at once: they are read at the start, so they may be right now. No probe is
    later than the retry's cap: the clock may have been set back since.
    """
    latest = now if breaker.misconfigured else now + max(retry.first, retry.cap)
    return replace(breaker, probe_at=min(breaker.probe_at, latest))
