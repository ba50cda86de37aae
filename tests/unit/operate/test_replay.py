"""Replays as operators run them: their progress, their end, and the action that is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from gateway.model import RouteKey
from gateway.operate.replay import Replayed, count_replay, replay_deliveries
from gateway.store.values import Filter, Page

pytestmark = [pytest.mark.gen_test, pytest.mark.usefixtures("restless")]
NOW = 1_800_000_000.0
ERP, ALERTS = ("bookshop", "erp"), ("bookshop", "alerts")
PAGES = [Page(11, 13, 20, {ERP: 2}), Page(11, 17, 20, {}), Page(11, 20, 20, {ERP: 1, ALERTS: 4})]


class FakeStore:
    """A store that replays these pages."""

    def __init__(self, *pages: Page) -> None:
        self.pages = pages
        self.actions: list[tuple[str, Mapping[str, Any], float]] = []

    async def replay(self, which: Filter, now: float) -> AsyncIterator[Page]:
        for page in self.pages:
            yield page

    async def count_replay(self, which: Filter) -> AsyncIterator[Page]:
        for page in self.pages:
            yield page

    async def record_action(self, action: str, detail: Mapping[str, Any], now: float) -> None:
        self.actions.append((action, detail, now))


async def run(store: FakeStore, stop_after: int = 99, counting: bool = False) -> list[Replayed]:
    """Return each progress of a replay of the ERP's dead letters, stopped after so many pages."""
    stop, seen = asyncio.Event(), []
    which = Filter(route="erp", state="dead")
    steps = count_replay(store, which, stop) if counting else replay_deliveries(store, which, NOW, stop)  # type: ignore[arg-type]
    async for done in steps:
        seen.append(done)
        if len(seen) == stop_after:
            stop.set()
    return seen


def expect(done: int, reached: int, **found: Any) -> Replayed:
    counts: dict[RouteKey, int] = {("bookshop", name): number for name, number in found.items()}
    return Replayed(reached, done, 10, counts)


@pytest.mark.parametrize("counting", [False, True])
async def test_each_progress_has_all_that_was_found_so_far(counting: bool) -> None:
    seen = await run(FakeStore(*PAGES), counting=counting)
    assert seen == [expect(3, 13, erp=2), expect(7, 17, erp=2), expect(10, 20, erp=3, alerts=4)]
    assert [each.stopped_at for each in seen] == [13, 17, None]
    assert [each.deliveries for each in seen] == [2, 2, 7]


async def test_the_action_has_the_filter_and_the_number() -> None:
    store = FakeStore(*PAGES)
    await run(store)
    assert store.actions == [("replay", {"route": "erp", "state": "dead", "deliveries": 7}, NOW)]


async def test_a_replay_that_is_stopped_is_recorded_as_far_as_it_went() -> None:
    store = FakeStore(*PAGES)
    assert (await run(store, stop_after=1))[-1].stopped_at == 13
    assert store.actions == [("replay", {"route": "erp", "state": "dead", "deliveries": 2}, NOW)]


async def test_nothing_replayed_is_nothing_to_record() -> None:
    for store in (FakeStore(), FakeStore(Page(1, 9, 9, {}))):
        await run(store)
        assert store.actions == []
    counted = FakeStore(*PAGES)
    await run(counted, counting=True)
    assert counted.actions == []
