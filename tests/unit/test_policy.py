"""The decisions after an outcome, and the breaker. They are pure, so time and chance are arguments."""

import math
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import policy
from gateway.model import Dead, Delivery, Done, Kind, Outcome, Retry, RetryAt, Signal
from gateway.store.values import RouteState

NOW = 1_000_000.0
DAY = 86400.0


class Highest(random.Random):
    """Draws the upper end of every range."""

    def uniform(self, a: float, b: float) -> float:
        return b


SIGNAL = Signal("shop", "ItemError", "1", "r", None, None, None, datetime(2026, 1, 1, tzinfo=UTC), {}, "0" * 32)


def delivery(attempt: int = 1, age: float = 0.0) -> Delivery:
    return Delivery(SIGNAL, "erp", attempt, created_at=NOW - age)


def decide(outcome: Outcome, attempt: int = 1, age: float = 0.0) -> object:
    return policy.decide(delivery(attempt, age), outcome, Retry(), NOW, Highest())


def test_a_delivered_delivery_is_done() -> None:
    assert decide(Outcome(Kind.DELIVERED)) == Done("delivered")


def test_a_skipped_delivery_is_filtered_with_its_reason() -> None:
    assert decide(Outcome(Kind.SKIPPED, "nothing to do")) == Done("filtered", "nothing to do")


def test_a_permanent_error_is_a_dead_letter() -> None:
    assert decide(Outcome(Kind.PERMANENT, "no such order")) == Dead("no such order")


@pytest.mark.parametrize("kind", [Kind.MISCONFIGURED, Kind.RELEASED])
def test_an_outcome_that_is_not_the_deliverys_fault_counts_no_attempt(kind: Kind) -> None:
    assert decide(Outcome(kind, "why")) == RetryAt(NOW, "why", counted=False)


@pytest.mark.parametrize(("attempt", "wait"), [(1, 5), (2, 10), (3, 20), (10, 2560), (11, 3600), (5000, 3600)])
def test_waits_double_from_5_seconds_to_an_hour(attempt: int, wait: float) -> None:
    assert decide(Outcome(Kind.RETRY, "busy"), attempt) == RetryAt(NOW + wait, "busy")


def test_the_target_may_ask_for_a_longer_wait_but_not_a_shorter() -> None:
    assert decide(Outcome(Kind.RETRY, "busy", after=120)) == RetryAt(NOW + 120, "busy")
    assert decide(Outcome(Kind.RETRY, "busy", after=1)) == RetryAt(NOW + 5, "busy")


@pytest.mark.parametrize("after", [3601, 7200, 86400, 30 * DAY])
def test_a_requested_wait_is_at_most_an_hour(after: float) -> None:
    assert decide(Outcome(Kind.RETRY, "busy", after=after)) == RetryAt(NOW + 3600, "busy")


NONSENSE: list[Any] = [-1, -1e300, math.nan, math.inf, -math.inf, 31_536_000, 99_999_999_999, 10**400, "60", b"60", []]
"""Waits that no target means: garbage, a date in 9999, or one before now."""


@pytest.mark.parametrize("after", NONSENSE, ids=lambda after: repr(after)[:20])
def test_nonsense_in_a_requested_wait_is_ignored(after: Any) -> None:
    assert decide(Outcome(Kind.RETRY, "busy", after=after)) == RetryAt(NOW + 5, "busy")
    failing = policy.Breaker(failures=4)
    opened = policy.after_outcome(failing, Outcome(Kind.RETRY, "down", after=after), Retry(), NOW, Highest())
    assert opened.probe_at == NOW + 5


def test_a_breaker_rests_an_hour_at_most_whatever_the_target_asks() -> None:
    failing = policy.Breaker(failures=4)
    opened = policy.after_outcome(failing, Outcome(Kind.RETRY, "down", after=DAY), Retry(), NOW, Highest())
    assert opened.probe_at == NOW + 3600


@pytest.mark.parametrize(
    ("give_up_after", "age", "wait"),
    [(1800, 0, 1795), (1800, 1000, 795), (7200, 0, 3600), (60, 0, 55), (60, 50, 5), (60, 54, 5)],
)
def test_a_requested_wait_leaves_time_for_one_more_try(give_up_after: float, age: float, wait: float) -> None:
    outcome, retry = Outcome(Kind.RETRY, "busy", after=3600), Retry(give_up_after=give_up_after)
    decided = policy.decide(delivery(1, age), outcome, retry, NOW, Highest())
    assert decided == RetryAt(NOW + wait, "busy")


def test_a_wait_that_a_sink_needs_is_not_shortened() -> None:
    """An ERP may still work on a write that it did not answer. A try before that would repeat the write."""
    outcome, retry = Outcome(Kind.RETRY, "no answer", after=120, firm=True), Retry(give_up_after=130)
    assert policy.decide(delivery(1), outcome, retry, NOW, Highest()) == RetryAt(NOW + 120, "no answer")
    late = policy.decide(delivery(1, age=60), outcome, retry, NOW, Highest())
    assert late == Dead("given up after 1 attempts: no answer")


def test_a_requested_wait_alone_makes_no_dead_letter() -> None:
    """A target that asks for an hour at each attempt, on a route that gives up after half an hour, is tried twice."""
    retry, now, attempts = Retry(give_up_after=1800), NOW, 0
    while True:
        attempts += 1
        outcome = Outcome(Kind.RETRY, "busy", after=3600)
        decided = policy.decide(replace(delivery(attempts), created_at=NOW), outcome, retry, now, Highest())
        if isinstance(decided, Dead):
            break
        assert isinstance(decided, RetryAt)
        now = decided.at
    assert (attempts, now) == (2, NOW + 1795)


def test_given_up_when_the_next_try_would_come_after_7_days() -> None:
    assert decide(Outcome(Kind.RETRY, "busy"), attempt=9, age=7 * DAY) == Dead("given up after 9 attempts: busy")
    assert isinstance(decide(Outcome(Kind.RETRY, "busy"), attempt=9, age=7 * DAY - 3601), RetryAt)


@given(st.integers(1, 10_000), st.integers())
def test_jitter_is_full_and_within_the_cap(attempt: int, seed: int) -> None:
    wait = policy.backoff(attempt, Retry(), random.Random(seed))
    assert 0 <= wait <= min(3600, 5 * 2 ** min(attempt - 1, 20))


def turn(breaker: policy.Breaker, *kinds: Kind, now: float = NOW) -> policy.Breaker:
    for kind in kinds:
        breaker = policy.after_outcome(breaker, Outcome(kind, "down"), Retry(), now, Highest())
    return breaker


def test_the_breaker_opens_after_5_failures_in_a_row() -> None:
    four = turn(policy.Breaker(), *[Kind.RETRY] * 4)
    assert four.closed
    assert four.slots(concurrency=4, running=1, now=NOW) == 3
    five = turn(four, Kind.RETRY)
    assert not five.closed
    assert five.reason == "down"
    assert five.slots(concurrency=4, running=0, now=NOW) == 0


@pytest.mark.parametrize("kind", [Kind.DELIVERED, Kind.SKIPPED, Kind.PERMANENT])
def test_an_answer_of_the_target_starts_the_count_anew(kind: Kind) -> None:
    assert turn(policy.Breaker(), *[Kind.RETRY] * 4, kind, *[Kind.RETRY] * 4).closed
    assert turn(policy.Breaker(), *[Kind.RETRY] * 5, kind) == policy.Breaker()


def test_a_retry_with_a_healthy_target_does_not_open_the_breaker() -> None:
    breaker = policy.Breaker()
    for _ in range(10):
        outcome = Outcome(Kind.RETRY, "order not known yet", healthy=True)
        breaker = policy.after_outcome(breaker, outcome, Retry(), NOW, Highest())
    assert breaker.closed


def test_a_half_open_breaker_lets_one_probe_through() -> None:
    opened = turn(policy.Breaker(), *[Kind.RETRY] * 5)
    assert opened.slots(4, running=0, now=opened.probe_at) == 1
    assert opened.slots(4, running=1, now=opened.probe_at) == 0


def test_each_failed_probe_waits_longer() -> None:
    first = turn(policy.Breaker(), *[Kind.RETRY] * 5)
    second = turn(first, Kind.RETRY, now=first.probe_at)
    assert second.probe_at - first.probe_at > first.probe_at - NOW


def test_failures_that_end_while_it_is_open_do_not_put_the_probe_off() -> None:
    opened = turn(policy.Breaker(), *[Kind.RETRY] * 5)
    assert turn(opened, *[Kind.RETRY] * 3).probe_at == opened.probe_at


def test_wrong_settings_pause_at_once_and_a_release_changes_nothing() -> None:
    paused = turn(policy.Breaker(), Kind.MISCONFIGURED)
    assert not paused.closed
    assert paused.probe_at == NOW + policy.MISCONFIGURED_PROBE
    assert turn(paused, Kind.RELEASED) == paused


def test_a_route_that_is_refused_again_or_fails_meanwhile_keeps_its_probe() -> None:
    paused = turn(policy.Breaker(), Kind.MISCONFIGURED)
    assert turn(paused, Kind.RETRY) == paused
    again = turn(paused, Kind.MISCONFIGURED)
    assert (again.misconfigured, again.probe_at) == (True, paused.probe_at)


def test_a_breaker_is_read_from_the_stored_state_of_its_route() -> None:
    state = RouteState("shop", "erp", failures=5, opened=2, probe_at=NOW + 10, reason="down")
    assert policy.Breaker.from_state(state) == policy.Breaker(5, 2, NOW + 10, "down")
