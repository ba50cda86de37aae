"""The gauge of traffic, the pace of deliveries beside it, and the short waits for answers."""

import asyncio

import pytest

from gateway.dispatch import Throttle, Tuning
from gateway.in_flight import InFlightRequests
from tests.unit.dispatch.harness import START, Clock

pytestmark = pytest.mark.gen_test

TUNING = Tuning()


class Road:
    """A throttle with its requests and its monotonic clock."""

    def __init__(self, tuning: Tuning = TUNING) -> None:
        self.clock = Clock()
        self.in_flight = InFlightRequests()
        self.throttle = Throttle(self.in_flight, tuning, self.clock)

    def begin(self, count: int) -> None:
        for _ in range(count):
            self.in_flight.begin()

    def end(self, count: int) -> None:
        for _ in range(count):
            self.in_flight.end()


async def test_traffic_is_present_until_no_request_has_come_for_a_while() -> None:
    road = Road()
    traffic = road.throttle.traffic
    assert not traffic.present
    road.begin(1)
    road.clock.at += 10 * TUNING.traffic_lasts
    assert traffic.present
    road.end(1)
    assert not traffic.present
    road.begin(1)
    road.end(1)
    assert traffic.present
    road.clock.at += TUNING.traffic_lasts
    assert not traffic.present


async def test_many_requests_at_once_are_a_rush_for_a_while() -> None:
    road = Road()
    traffic = road.throttle.traffic
    road.begin(TUNING.rush_requests - 1)
    assert not traffic.rush
    road.begin(1)
    assert traffic.rush
    road.end(TUNING.rush_requests)
    assert traffic.rush
    road.clock.at += 2 * TUNING.rush_lasts
    assert not traffic.rush


async def test_without_requests_nothing_waits_whatever_was_charged() -> None:
    throttle = Road().throttle
    throttle.adapt(START)
    throttle.charge(60.0, START)
    assert (throttle.active, throttle.delay(START)) == (False, 0.0)


async def test_the_pace_is_slower_in_a_rush_and_ends_with_the_traffic() -> None:
    road = Road()
    throttle = road.throttle
    for now, requests, pace in ((START, 1, TUNING.traffic_pace), (START + 60, TUNING.rush_requests, TUNING.rush_pace)):
        road.begin(requests)
        throttle.adapt(now)
        throttle.charge(0.1, now)
        assert throttle.active
        assert throttle.delay(now) == pytest.approx(0.1 * pace - TUNING.throttle_credit, abs=1e-6)
        road.end(requests)
        road.clock.at += 60
        throttle.adapt(now)
        assert (throttle.active, throttle.delay(now)) == (False, 0.0)


async def test_a_little_lateness_is_made_up_for_and_a_turn_may_come_a_little_early() -> None:
    road = Road(Tuning(traffic_pace=1.0))
    throttle = road.throttle
    road.begin(1)
    throttle.adapt(START)
    throttle.charge(0.1, START)
    throttle.charge(0.1, START + 0.097)
    assert throttle.delay(START + 0.097) == pytest.approx(0.098, abs=1e-6)
    assert throttle.delay(START + 0.1945) == 0.0


async def test_a_refund_shortens_the_wait() -> None:
    road = Road()
    throttle = road.throttle
    road.begin(1)
    throttle.adapt(START)
    throttle.charge(0.1, START)
    throttle.refund(0.1)
    assert throttle.delay(START) == 0.0


async def test_nothing_waits_for_long_whatever_was_charged() -> None:
    road = Road()
    throttle = road.throttle
    road.begin(1)
    throttle.adapt(START)
    throttle.charge(1e6, START)
    throttle.adapt(START + 1)
    assert throttle.delay(START + 1) == TUNING.longest_throttle
    assert throttle.delay(START + 1 + TUNING.longest_throttle) == 0.0


async def test_giving_way_ends_when_the_last_request_is_answered() -> None:
    road = Road(Tuning(longest_give_way=1000))
    await road.throttle.give_way()
    road.begin(2)
    waits = asyncio.ensure_future(road.throttle.give_way())
    for _ in range(2):
        await asyncio.sleep(0)
        assert not waits.done()
        road.end(1)
    await waits


async def test_giving_way_in_vain_is_not_repeated_for_a_while() -> None:
    road = Road(Tuning(longest_give_way=0.0))
    road.begin(1)
    await road.throttle.give_way()
    patient = asyncio.ensure_future(road.throttle.give_way())
    await asyncio.sleep(0)
    assert patient.done()
    road.clock.at += 2 * TUNING.give_way_rest
    waits = asyncio.ensure_future(road.throttle.give_way())
    await asyncio.sleep(0)
    assert not waits.done()
    road.end(1)
    await waits
