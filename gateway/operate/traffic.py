"""Long work beside a running gateway: page by page, stopped on request, leaving time to live traffic."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TypeVar

T = TypeVar("T")


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
