"""Counts by hour: added up between two writes, kept if the store fails, and passed on to the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.errors import StoreError
from gateway.metrics import Observer
from gateway.operate.hourly_counts import HourlyCounts

pytestmark = pytest.mark.gen_test


class FakeOrders:
    def __init__(self) -> None:
        self.failing = False
        self.added: list[tuple[dict[Any, int], dict[Any, int], float]] = []

    async def add_hourly_counts(self, answers: Mapping[Any, int], outcomes: Mapping[Any, int], now: float) -> None:
        if self.failing:
            raise StoreError("the store is away")
        self.added.append((dict(answers), dict(outcomes), now))


class Seen(Observer):
    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def signal_received(self, account: str, code: int, seconds: float) -> None:
        self.seen.append((account, code))


async def test_answers_and_outcomes_are_added_up_and_written_once() -> None:
    observer, store = Seen(), FakeOrders()
    counts = HourlyCounts(observer, store, lambda: 5.0)  # type: ignore[arg-type]
    for code in (200, 200, 401):
        observer.signal_received("shop", code, 0.1)
    observer.delivery_attempted("shop", "erp", "odoo", "delivered", 0.1)
    await counts.save()
    await counts.save()
    assert store.added == [({("shop", "200"): 2, ("shop", "401"): 1}, {("shop", "erp", "delivered"): 1}, 5.0)]
    assert observer.seen == [("shop", 200), ("shop", 200), ("shop", 401)]


async def test_what_could_not_be_written_is_written_the_next_time() -> None:
    observer, store = Observer(), FakeOrders()
    counts = HourlyCounts(observer, store, lambda: 5.0)  # type: ignore[arg-type]
    store.failing = True
    observer.signal_received("shop", 200, 0.1)
    await counts.save()
    observer.signal_received("shop", 200, 0.1)
    store.failing = False
    await counts.save()
    assert store.added == [({("shop", "200"): 2}, {}, 5.0)]
