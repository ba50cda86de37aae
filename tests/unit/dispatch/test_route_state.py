"""The reasons for which a route starts no delivery, and its ownership on a shared store."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway import policy
from gateway.dispatch.route_state import LiveRouteState, Ownership
from gateway.model import Delivery, Kind, Outcome
from gateway.policy import Breaker
from gateway.store.values import RouteState
from tests.support.factory import make_signal
from tests.unit.dispatch.harness import START, Clock, make_route, make_runner, make_sink


def make_state(clock: Clock | None = None, batch: int = 1, **fields: Any) -> LiveRouteState:
    return make_runner(make_route(**fields), make_sink(batch=batch), clock=clock).state


def make_deliveries(count: int, replayed: int = 0) -> Sequence[Delivery]:
    delivery = Delivery(make_signal(), "erp", 1, START)
    return [replace(delivery, replayed=number < replayed) for number in range(count)]


def test_a_route_has_slots_for_each_call_and_each_delivery_in_it() -> None:
    assert make_state(concurrency=3).slots(START) == 3
    state = make_state(concurrency=3, batch=10)
    state.begin(1, make_deliveries(4))
    assert state.slots(START) == 20
    state.end(make_deliveries(4))
    assert state.slots(START) == 30


def test_a_paused_route_has_no_slots_until_it_is_resumed() -> None:
    state = make_state()
    with capture_logs() as logs:
        state.follow(RouteState("shop", "erp", paused=True, why="moving"))
        assert (state.slots(START), state.opens_at(START)) == (0, None)
        state.follow(RouteState("shop", "erp"))
        assert state.slots(START) == 4
    assert [(entry["event"], entry.get("why")) for entry in logs] == [
        ("route.paused", "moving"),
        ("route.resumed", None),
    ]


def test_a_retired_route_has_no_slots() -> None:
    state = make_state()
    state.retired = True
    assert (state.slots(START), state.opens_at(START)) == (0, None)


def test_an_open_breaker_leaves_one_slot_for_its_probe() -> None:
    state = make_state(batch=10)
    state.breaker = Breaker(5, 1, START + 9, "down")
    assert (state.slots(START), state.opens_at(START)) == (0, START + 9)
    claimed = make_deliveries(state.slots(START + 9))
    assert (len(claimed), len(state.choose(claimed, START + 9)), state.opens_at(START + 9)) == (8, 1, None)
    state.begin(1, make_deliveries(1))
    assert (state.slots(START + 9), state.opens_at(START + 9)) == (0, None)


def test_a_rate_limits_deliveries_and_says_when_the_next_may_start() -> None:
    clock = Clock()
    state = make_state(clock, concurrency=10, rate=2.0)
    assert state.slots(START) == 2
    state.begin(2, make_deliveries(2))
    assert (state.slots(START), state.opens_at(START)) == (0, START + 0.5)
    assert (state.slots(START + 0.5), state.opens_at(START + 0.5)) == (1, None)


def test_a_route_with_all_its_calls_running_opens_at_no_known_time() -> None:
    state = make_state(concurrency=1)
    state.begin(1, make_deliveries(1))
    assert (state.slots(START), state.opens_at(START)) == (0, None)


def test_a_route_is_ours_while_it_is_owned() -> None:
    state = make_state()
    assert (state.ownership, state.is_ours(START)) == (Ownership.NOT_NEEDED, True)
    state.wait_for_ownership()
    assert (state.is_ours(START), state.slots(START), state.opens_at(START)) == (False, 0, None)
    assert state.own(START + 30)
    assert (state.ownership, state.slots(START + 29), state.slots(START + 30)) == (Ownership.OWNED, 4, 0)
    assert not state.own(START + 60)
    assert state.is_ours(START + 30)


def test_replays_get_a_quarter_of_the_slots_and_at_least_one() -> None:
    state = make_state(concurrency=8)
    assert state.replay_slots() == 2
    state.begin(3, make_deliveries(3, replayed=2))
    assert (state.running, state.replaying, state.replay_slots()) == (3, 2, 0)
    state.end(make_deliveries(1, replayed=1))
    assert state.replay_slots() == 1
    assert make_state(concurrency=1).replay_slots() == 1


def test_the_breaker_is_taken_over_from_the_store_once() -> None:
    state = make_state()
    assert not state.followed
    stored = RouteState("shop", "erp", failures=5, opened=1, probe_at=START + 9, reason="down")
    state.follow(stored)
    assert (state.followed, state.breaker) == (True, Breaker.from_state(stored))
    state.follow(RouteState("shop", "erp"))
    assert state.breaker == Breaker.from_state(stored)


@pytest.mark.parametrize(("kind", "event"), [(Kind.RETRY, "route.opened"), (Kind.MISCONFIGURED, "route.misconfigured")])
def test_a_breaker_that_opens_or_closes_is_logged(kind: Kind, event: str) -> None:
    state = make_state()
    with capture_logs() as logs:
        for _ in range(policy.FAILURES_TO_OPEN):
            state.turn_breaker(Outcome(kind, "down"), START)
        state.turn_breaker(Outcome(Kind.DELIVERED), state.breaker.probe_at)
    assert [entry["event"] for entry in logs] == [event, "route.closed"]
