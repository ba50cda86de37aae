"""Decides, purely: what follows from an attempt's outcome, and what a route's breaker does next.

Nothing here acts, reads a clock or draws a random number: `now` (seconds since the epoch) and `rng` are arguments.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass, replace
from typing import Protocol, Self

from gateway.model import Dead, Decision, Delivery, Done, Kind, Outcome, Retry, RetryAt

OPENS_AFTER = 5
"""Failures in a row that open a route's breaker."""
MISCONFIGURED_PROBE = 300.0
"""Seconds between probes of a route whose settings the target refused: a person must act, but may act there."""


def decide(delivery: Delivery, outcome: Outcome, policy: Retry, now: float, rng: random.Random) -> Decision:
    """What becomes of a delivery after an attempt."""
    match outcome.kind:
        case Kind.DELIVERED:
            return Done("delivered")
        case Kind.SKIPPED:
            return Done("filtered", outcome.reason)
        case Kind.PERMANENT:
            return Dead(outcome.reason)
        case Kind.MISCONFIGURED | Kind.RELEASED:
            return RetryAt(now, outcome.reason, counted=False)
    at = now + backoff(delivery.attempt, policy, rng, outcome.after)
    if at > delivery.created_at + policy.give_up_after:
        return Dead(f"given up after {delivery.attempt} attempts: {outcome.reason}")
    return RetryAt(at, outcome.reason)


def backoff(attempt: int, policy: Retry, rng: random.Random, after: float | None = None) -> float:
    """Seconds until the next try: exponential with full jitter, never sooner than the target asked for.

    Full jitter: uniform between 0 and the ceiling, so that what failed together does not come back together.
    """
    # 63 doublings pass any cap; beyond, the power would overflow a float.
    ceiling = min(policy.cap, policy.first * policy.factor ** min(attempt - 1, 63))
    return max(rng.uniform(0, ceiling), after or 0.0)


class Status(enum.IntEnum):
    """How a route is; the numbers are those of the metric."""

    RUNNING = 0
    PAUSED = 1
    OPEN = 2
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
    """A route's breaker. Closed: deliveries flow. Open until `probe_at`, then half-open: one at a time probes."""

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
        """Open since the target refused the settings, which counts as no failure: open for failures, it has some."""
        return not self.closed and not self.failures

    def status(self, paused: bool) -> Status:
        """The route's status; a pause by people is said first."""
        if paused:
            return Status.PAUSED
        if self.closed:
            return Status.RUNNING
        return Status.MISCONFIGURED if self.misconfigured else Status.OPEN

    def slots(self, concurrency: int, running: int, now: float) -> int:
        """How many more deliveries the route may start now."""
        if self.closed:
            return max(0, concurrency - running)
        return 1 if now >= self.probe_at and not running else 0


def after_outcome(breaker: Breaker, outcome: Outcome, policy: Retry, now: float, rng: random.Random) -> Breaker:
    """The breaker after one more outcome. A dead letter or a skip shows a target that answers: it closes."""
    if outcome.kind is Kind.RELEASED:
        return breaker
    if outcome.kind is Kind.MISCONFIGURED:
        return Breaker(0, breaker.opened + 1, now + MISCONFIGURED_PROBE, outcome.reason or "misconfigured")
    if outcome.kind is not Kind.RETRY or outcome.healthy:
        return Breaker()
    # A result that started before the breaker opened says nothing new of the target.
    if not breaker.closed and now < breaker.probe_at:
        return breaker
    failures = breaker.failures + 1
    if breaker.closed and failures < OPENS_AFTER:
        return replace(breaker, failures=failures)
    opened = 1 if breaker.misconfigured else breaker.opened + 1
    wait = max(policy.first, backoff(opened, policy, rng, outcome.after))
    return Breaker(failures, opened, now + wait, outcome.reason or "failing")


def after_restart(breaker: Breaker, policy: Retry, now: float) -> Breaker:
    """The breaker that an earlier run left. Where the settings were refused it probes at once: they are read at a
    start, so they may be mended. No probe is farther than the retry's cap: the clock may have been set back since."""
    latest = now if breaker.misconfigured else now + max(policy.first, policy.cap)
    return replace(breaker, probe_at=min(breaker.probe_at, latest))
