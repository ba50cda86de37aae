"""Forgetting an account ends between two batches when it is asked to, and goes on where it ended."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.operate.accounts import forget_account
from gateway.store.values import Forgotten

pytestmark = pytest.mark.gen_test


class FakeStore:
    """An account of which two batches of signals are left."""

    def __init__(self) -> None:
        self.left = [
            Forgotten(signals=2, deliveries=3, pending=1),
            Forgotten(signals=1),
            Forgotten(orders=4, done=True),
        ]
        self.actions: list[tuple[str, Any]] = []

    async def forget(self, account: str, limit: int, now: float) -> Forgotten:
        return self.left.pop(0)

    async def record_action(self, action: str, detail: Any, now: float) -> None:
        self.actions.append((action, detail))


async def test_the_sums_are_told_and_one_action_is_recorded() -> None:
    store: Any = FakeStore()
    *_, last = [sums async for sums in forget_account(store, "posters", 1.0)]
    assert last == Forgotten(signals=3, deliveries=3, pending=1, orders=4, done=True)
    assert store.actions == [("forget", {"account": "posters", "signals": 3, "quarantined": 0, "pending": 1})]


async def test_it_stops_between_two_batches() -> None:
    store: Any = FakeStore()
    stop = asyncio.Event()
    stop.set()
    sums = [sums async for sums in forget_account(store, "posters", 1.0, stop)]
    assert [(each.signals, each.done) for each in sums] == [(2, False)]
    assert len(store.left) == 2
    assert store.actions == []
