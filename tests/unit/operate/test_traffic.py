"""Long work leaves time to live traffic, in one place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.operate import traffic
from gateway.operate.traffic import progress_of, yield_to_traffic
from gateway.store.values import Page

pytestmark = pytest.mark.gen_test


class Work:
    """Pages that take 1, 2, 3 ... seconds by a clock that only this work and its rests move on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.rests: list[float] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)
        monkeypatch.setattr(traffic, "wait", self.wait)

    async def wait(self, stop: asyncio.Event, seconds: float) -> None:
        self.rests.append(seconds)
        self.now += seconds

    async def pages(self, count: int = 3) -> AsyncIterator[int]:
        for number in range(1, count + 1):
            self.now += number
            yield number


@pytest.mark.parametrize(("rest", "rests"), [(1.0, [1, 2, 3]), (4.0, [4, 8, 12]), (0.0, [])])
async def test_each_page_is_followed_by_a_rest_as_long_as_it_took(
    monkeypatch: pytest.MonkeyPatch, rest: float, rests: list[float]
) -> None:
    work = Work(monkeypatch)
    assert [page async for page in yield_to_traffic(work.pages(), rest=rest)] == [1, 2, 3]
    assert work.rests == rests


async def test_time_that_the_reader_takes_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch)
    async for _ in yield_to_traffic(work.pages()):
        work.now += 50
    assert work.rests == [1, 2, 3]


async def test_a_stop_ends_the_work_after_the_page_without_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    work, stop, seen = Work(monkeypatch), asyncio.Event(), []
    async for page in yield_to_traffic(work.pages(), stop):
        seen.append(page)
        if page == 2:
            stop.set()
    assert (seen, work.rests) == ([1, 2], [1])


async def test_a_stop_ends_a_rest() -> None:
    stop = asyncio.Event()
    resting = asyncio.ensure_future(traffic.wait(stop, 3600.0))
    await asyncio.sleep(0)
    stop.set()
    await resting
    await traffic.wait(asyncio.Event(), 0.0)


@pytest.mark.parametrize(
    ("first", "reached", "last", "progress"),
    [
        (1, 10, 20, (10, 10, 20)),
        (5, 20, 20, (20, 16, 16)),
        (1, 1, 0, (1, 0, 0)),
        (1, 0, 0, (0, 0, 0)),
        (3, 9, 8, (9, 6, 6)),
    ],
)
async def test_no_more_is_done_than_there_is(first: int, reached: int, last: int, progress: tuple[int, ...]) -> None:
    assert progress_of(Page(first, reached, last, {})) == progress
