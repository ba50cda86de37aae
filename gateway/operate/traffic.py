"""Long work beside a running gateway: page by page, stopped on request, leaving time to live traffic."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

from gateway.store.values import Page

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a long work over signals. `done` and `total` count ids; `reached` is the last id that is done."""

    reached: int = 0
    done: int = 0
    total: int = 0

    @property
    def stopped_at(self) -> int | None:
        """Return the signal after which unfinished work can be continued, None if it is finished."""
        return self.reached if self.done < self.total else None


def progress_of(page: Page) -> tuple[int, int, int]:
    """Return the fields of Progress after a page of the store. A page of an empty store has nothing to do."""
    total = max(0, page.last - page.first + 1)
    return page.reached, max(0, min(total, page.reached - page.first + 1)), total


async def yield_to_traffic(
    pages: AsyncIterator[T], stop: asyncio.Event | None = None, rest: float = 1.0
) -> AsyncIterator[T]:
    """Pass on the pages of a long work until `stop` is set, and rest after each `rest` times as long as it took.

    With a rest of 1, live traffic has half of the time to write. Without a rest it would hardly get a turn: a gateway
    that waits for SQLite's lock only polls for it, and would seldom find it free. Nothing else in the gateway makes an
    operator's work wait.
    """
    stop, clock = stop or asyncio.Event(), asyncio.get_running_loop().time
    began = clock()
    async for page in pages:
        took = clock() - began
        yield page
        if rest and not stop.is_set():
            await wait(stop, rest * took)
        if stop.is_set():
            return
        began = clock()


async def wait(stop: asyncio.Event, seconds: float) -> None:
    """Wait for some seconds, or until `stop` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
