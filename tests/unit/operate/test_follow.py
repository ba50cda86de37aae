"""The follower of signals: batches until there are no more, failures, and the pace beside requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.dispatch.throttle import Traffic
from gateway.dispatch.tuning import Tuning
from gateway.errors import StoreError
from gateway.in_flight import InFlightRequests
from gateway.operate.follow import EVERY, LEASE, LONGEST_PAUSE, Follower
from gateway.store.values import Followed

pytestmark = pytest.mark.gen_test

NOW = 1_000.0


class FakeOrders:
    """Gives these answers, one after the other, then none."""

    def __init__(self, answers: Iterable[Followed | Exception] = ()) -> None:
        self.answers = [*answers]
        self.asked: list[tuple[str, float, float, int]] = []

    async def follow_orders(self, owner: str, now: float, lease_until: float, limit: int) -> Followed:
        self.asked.append((owner, now, lease_until, limit))
        answer = self.answers.pop(0) if self.answers else Followed()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the waits of the follower, none of which takes any time; the fourth ends it."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 4:
            raise asyncio.CancelledError

    monkeypatch.setattr("gateway.operate.follow.asyncio.sleep", sleep)
    return waits


def make(store: Any, requests: int = 0) -> Follower:
    in_flight = InFlightRequests()
    traffic = Traffic(in_flight, Tuning(), lambda: NOW)
    for _ in range(requests):
        in_flight.begin()
    return Follower(store, traffic, lambda: NOW)


async def run(follower: Follower) -> None:
    with pytest.raises(asyncio.CancelledError):
        await follower.follow()


async def test_batches_follow_each_other_until_there_are_no_more(sleeps: list[float]) -> None:
    store = FakeOrders([Followed(200, more=True), Followed(200, more=True), Followed(7)])
    await run(make(store))
    assert sleeps == [EVERY] * 4
    assert len(store.asked) == 3 + 3
    [(owner, now, until, _)] = {asked[:3] + (0,) for asked in store.asked}
    assert owner
    assert (now, until) == (NOW, NOW + LEASE)


async def test_a_failing_store_is_told_of_once_and_asked_less_often(sleeps: list[float]) -> None:
    store = FakeOrders([StoreError("the store is away")] * 3)
    with capture_logs() as logs:
        await run(make(store))
    assert sleeps == [1.0, 2.0, 4.0, EVERY]
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("orders.not_followed", "the store is away")]


async def test_an_unforeseen_error_ends_nothing(sleeps: list[float]) -> None:
    store = FakeOrders([RuntimeError("bug"), Followed(3)])
    await run(make(store))
    assert sleeps[:2] == [LONGEST_PAUSE, EVERY]
    assert store.answers == []


@pytest.mark.parametrize(("requests", "least"), [(1, 1.9), (30, 49.0)])
async def test_beside_requests_the_follower_gets_a_share_of_the_time(
    sleeps: list[float], requests: int, least: float
) -> None:
    store = FakeOrders([Followed(200, more=True, cost=1.0)])
    await run(make(store, requests))
    assert sleeps[0] > least
    assert sleeps[1] == EVERY


async def test_a_stop_adds_the_last_signals_without_waiting(sleeps: list[float]) -> None:
    store = FakeOrders([Followed(200, more=True, cost=1.0), Followed(200, more=True, cost=1.0), Followed(1)])
    await make(store, requests=30).finish()
    assert store.answers == []
    assert sleeps == []


async def test_a_stop_goes_on_if_the_store_fails() -> None:
    await make(FakeOrders([StoreError("the store is away")])).finish()
