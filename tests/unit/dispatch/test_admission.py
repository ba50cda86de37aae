"""Claims are small, in the order of fair shares, and count in full until it is known how many deliveries were due."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gateway.dispatch import Throttle, Tuning
from gateway.dispatch.admission import Admission
from gateway.dispatch.route_state import LiveRouteState
from gateway.in_flight import InFlightRequests
from gateway.policy import Breaker
from gateway.store.values import ClaimRequest
from tests.unit.dispatch.harness import START, make_route, make_runner, make_sink

TUNING = Tuning()
COST = TUNING.cost(1, 1)
BUDGET = int(TUNING.claim_budget / COST)
"""Deliveries in a claim of single calls."""


def make_state(name: str, tenant: str = "acme", concurrency: int = 1000, batch: int = 1) -> LiveRouteState:
    route = make_route(name, account=tenant, tenant=tenant, concurrency=concurrency)
    return make_runner(route, make_sink(batch=batch)).state


class Desk:
    """An admission with some routes, the timers that it set and its wake-ups. If `busy`, a request is in flight."""

    def __init__(self, *routes: LiveRouteState, busy: bool = False, tuning: Tuning = TUNING) -> None:
        self.in_flight = InFlightRequests()
        self.timers: list[tuple[float, LiveRouteState]] = []
        self.woken = 0
        throttle = Throttle(self.in_flight, tuning, lambda: 0.0)
        self.admission = Admission(throttle, lambda *timer: self.timers.append(timer), self._wake, tuning)
        for route in routes:
            self.admission.add(route)
        if busy:
            self.in_flight.begin()

    def _wake(self) -> None:
        self.woken += 1


def make_admission(*routes: LiveRouteState) -> Admission:
    return Desk(*routes).admission


def sizes(wants: list[ClaimRequest]) -> list[tuple[str, int]]:
    return [(want.route, want.limit) for want in wants]


def test_a_claim_costs_no_more_than_its_budget() -> None:
    admission = make_admission(make_state("a"), make_state("b"))
    assert sizes(admission.choose(START)) == [("a", BUDGET)]
    assert sizes(admission.choose(START)) == [("b", BUDGET)]
    assert admission.choose(START) == []


def test_a_claim_is_as_large_as_the_last_one_took_long() -> None:
    admission = make_admission()

    def choose(at: float) -> int:
        admission.add(make_state(f"route{at}"))
        return sum(want.limit for want in admission.choose(START + at))

    assert choose(0.0) == BUDGET
    assert choose(0.02) == int(0.02 / COST)
    assert choose(0.021) == BUDGET
    assert choose(9.0) == int(TUNING.largest_claim_budget / COST)
    assert admission.choose(START + 9.0) == []  # and then one waits until something comes
    assert choose(99.0) == BUDGET


def test_of_a_large_claim_a_tenant_gets_its_part_where_others_have_something_in_hand() -> None:
    small, large = make_state("a", "small", concurrency=1), [make_state(name, "large") for name in "bc"]
    admission = make_admission(small, *large)
    assert sizes(admission.choose(START)) == [("a", 1), ("b", BUDGET - 1)]
    with admission.at_target(small):
        taken = sum(want.limit for want in admission.choose(START + 0.04))
    assert taken * COST == pytest.approx(0.02, abs=COST)


def test_routes_share_a_claim() -> None:
    admission = make_admission(*(make_state(name, concurrency=5) for name in "abc"))
    assert sizes(admission.choose(START)) == [("a", 5), ("b", 5), ("c", BUDGET - 10)]


def test_a_call_is_claimed_whole_and_not_with_others() -> None:
    admission = make_admission(make_state("a", concurrency=3), make_state("b", concurrency=1, batch=250))
    assert sizes(admission.choose(START)) == [("a", 3)]
    assert sizes(admission.choose(START)) == [("b", 250)]


def test_tenants_take_turns_however_many_routes_they_have() -> None:
    many = [make_state(f"route{number}", "large", batch=100) for number in range(4)]
    one = make_state("only", "small", batch=100)
    admission = make_admission(*many, one)
    tenants = []
    for _ in range(40):
        [want] = admission.choose(START)
        tenants.append(want.account)
        route = one if want.account == "small" else many[int(want.route[-1])]
        admission.settle(route, want.limit, 100)
        with admission.at_target(route):
            pass
        admission.end(route, 100)
    assert all(first != second for first, second in pairwise(tenants[20:]))  # until then, one catches up


def test_a_tenant_ahead_waits_until_the_other_has_nothing_in_hand() -> None:
    large, small = make_state("a", "large", batch=50), make_state("b", "small", concurrency=1)
    admission = make_admission(small)
    admission.choose(START)
    admission.settle(small, 1, 0)
    for _ in range(3):
        admission.add(large)
        admission.choose(START)
    admission.add(small)
    admission.add(large)
    assert sizes(admission.choose(START)) == [("b", 1)]
    assert admission.choose(START) == []
    assert admission.waiting
    with admission.at_target(small):
        assert sizes(admission.choose(START)) == [("a", 50)]
    admission.add(large)
    assert admission.choose(START) == []
    admission.end(small, 1)
    assert sizes(admission.choose(START)) == [("b", 1)]
    admission.settle(small, 1, 0)
    assert sizes(admission.choose(START)) == [("a", 50)]


def test_deliveries_that_were_not_due_are_not_charged_to_their_tenant() -> None:
    often, once = make_state("a", "often"), make_state("b", "once")
    admission = make_admission(once)
    for route in (once, *[often] * 50):
        admission.add(route)
        [want] = admission.choose(START)
        admission.settle(route, want.limit, 0)
    admission.add(once)
    admission.add(often)
    assert {want.route for _ in range(2) for want in admission.choose(START)} == {"a", "b"}


# -- beside requests

PACE = 4.0
PACED = Tuning(traffic_pace=PACE)
SMALL_BUDGET = int(TUNING.claim_budget_beside_requests / COST)


def test_beside_requests_the_next_claim_comes_when_the_last_is_paid_for() -> None:
    desk = Desk(*(make_state(name) for name in "abc"), busy=True, tuning=PACED)
    admission = desk.admission
    assert sizes(admission.choose(START)) == [("a", SMALL_BUDGET)]
    paid = PACE * SMALL_BUDGET * COST - TUNING.throttle_credit
    assert admission.choose(START) == []
    assert admission.waiting
    assert admission.delay(START) == pytest.approx(paid, abs=1e-6)
    assert admission.choose(START + paid - 2 * TUNING.timer_resolution) == []
    assert sizes(admission.choose(START + paid)) == [("b", SMALL_BUDGET)]


def test_without_requests_nothing_waits_and_claims_are_larger() -> None:
    now = [0.0]
    in_flight = InFlightRequests()
    throttle = Throttle(in_flight, PACED, lambda: now[0])
    admission = Admission(throttle, lambda at, route: None, lambda: None, PACED)
    for name in "ab":
        admission.add(make_state(name))
    in_flight.begin()
    in_flight.end()
    assert sizes(admission.choose(START)) == [("a", SMALL_BUDGET)]
    assert admission.choose(START) == []
    now[0] = PACED.traffic_lasts
    assert sizes(admission.choose(START)) == [("b", BUDGET)]


def test_beside_requests_routes_share_a_claim_all_the_same() -> None:
    admission = Desk(*(make_state(name, concurrency=3) for name in "abc"), busy=True, tuning=PACED).admission
    assert sizes(admission.choose(START)) == [("a", 3), ("b", 3), ("c", SMALL_BUDGET - 6)]


def test_deliveries_that_were_not_due_are_not_charged_to_the_throttle() -> None:
    route = make_state("a")
    admission = Desk(route, busy=True, tuning=PACED).admission
    admission.choose(START)
    admission.settle(route, SMALL_BUDGET, 0)
    admission.add(route)
    assert sizes(admission.choose(START)) == [("a", SMALL_BUDGET)]


def test_a_tenant_that_is_behind_need_not_wait_for_the_throttle() -> None:
    admission = Desk(make_state("a", "large"), make_state("b", "large"), busy=True, tuning=PACED).admission
    admission.choose(START)
    assert admission.choose(START) == []
    admission.add(make_state("c", "small", concurrency=1))
    assert sizes(admission.choose(START)) == [("c", 1)]


def test_beside_requests_a_call_costs_no_more_than_the_budget() -> None:
    admission = Desk(make_state("a", concurrency=1, batch=250), busy=True, tuning=PACED).admission
    [(_, limit)] = sizes(admission.choose(START))
    assert TUNING.cost(limit, 250) <= TUNING.claim_budget_beside_requests < TUNING.cost(limit + 1, 250)


def test_beside_requests_a_remainder_makes_no_small_call() -> None:
    routes = make_state("a", concurrency=3), make_state("b", concurrency=1, batch=250)
    assert sizes(Desk(*routes, busy=True, tuning=PACED).admission.choose(START)) == [("a", 3)]


# -- callbacks, and slots given back


def test_a_route_that_opens_later_gets_a_timer_and_one_without_free_slots_is_queued_again() -> None:
    full, limited = make_state("full", "a"), make_state("limited", "b")
    limited.breaker = Breaker(5, 1, START + 9, "down")
    desk = Desk(full, limited, tuning=Tuning(slots=1))
    desk.admission.slots.take(make_state("other", "c"), 1)
    assert desk.admission.choose(START) == []
    assert desk.timers == [(START + 9, limited)]
    desk.admission.slots.give_back(make_state("other", "c"), 1)
    assert sizes(desk.admission.choose(START)) == [("full", 1)]


def test_a_call_that_is_handed_to_its_target_wakes_tenants_that_wait_for_it() -> None:
    waits, goes = make_state("waits", "a"), make_state("goes", "b")
    desk = Desk(goes)
    desk.admission.choose(START)
    with desk.admission.at_target(goes):
        assert desk.woken == 0
    desk.admission.add(waits)
    with desk.admission.at_target(goes):
        assert desk.woken == 1


def test_an_ended_call_gives_its_slots_back_and_queues_its_route() -> None:
    route = make_state("a", concurrency=3)
    desk = Desk(route)
    [request] = desk.admission.choose(START)
    desk.admission.settle(route, request.limit, 1)
    assert (desk.admission.slots.free, desk.admission.shares.calls_in_hand("acme")) == (TUNING.slots - 1, 1)
    desk.admission.end(route, 1)
    assert (desk.admission.slots.free, desk.admission.shares.calls_in_hand("acme")) == (TUNING.slots, 0)
    assert (desk.admission.waiting, route.due, desk.woken) == (True, 0.0, 1)
