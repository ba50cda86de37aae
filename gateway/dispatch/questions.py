"""Questions to a route's sink for orders, each within a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.dispatch.calls import CANCEL_WITHIN, catch, describe
from gateway.dispatch.faults import SinkFaults
from gateway.errors import RetryLater
from gateway.sink.api import Sink


class Questions:
    """The questions to one sink. `opened` returns the sink, opened at first use."""

    def __init__(self, opened: Callable[[], Awaitable[Sink]], faults: SinkFaults) -> None:
        self._opened = opened
        self._faults = faults
        self._calls: set[asyncio.Task[Any]] = set()

    async def ask(self, reference: str, within: float) -> bool | None:
        """Return the sink's answer, None if it can't tell. Raises RetryLater if it failed, or took longer.

        Whatever the sink raises is a failure, also SystemExit.
        """
        call = asyncio.create_task(catch(lambda: self._knows(reference)))
        self._faults.watch(call)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            done, _ = await asyncio.wait({call}, timeout=within)
        finally:
            call.cancel()
        if not done:
            await self.end()
            raise RetryLater(f"no answer within {within:g} s")
        known, error = call.result()
        if error is not None:
            self._faults.report(error, "knows")
            raise RetryLater(describe(error), error.after if isinstance(error, RetryLater) else None) from error
        return known if isinstance(known, bool) else None

    async def _knows(self, reference: str) -> bool | None:
        return await (await self._opened()).knows(reference)

    async def end(self) -> None:
        """End the questions that are asked, or go on without them."""
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(set(self._calls), timeout=CANCEL_WITHIN)
        if self._calls:
            self._faults.abandon("knows", CANCEL_WITHIN)
