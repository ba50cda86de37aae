"""The count of requests that wait for their answer: ingest counts them, a shutdown waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class InFlightRequests:
    """Counts requests from the check of their key until their answer. Deliveries give way to them, see `Throttle`."""

    def __init__(self) -> None:
        self.count = 0
        self._none = asyncio.Event()
        self._none.set()
        self._on_begin: Callable[[int], None] = lambda count: None

    def on_begin(self, tell: Callable[[int], None]) -> None:
        """Call `tell` at each request that begins, with the number of requests in flight. There is one listener."""
        self._on_begin = tell

    def begin(self) -> None:
        """Count a request; `end` must follow, whatever comes of it."""
        self.count += 1
        self._none.clear()
        self._on_begin(self.count)

    def end(self) -> None:
        """Count a request as answered."""
        self.count -= 1
        if not self.count:
            self._none.set()

    async def wait_until_none(self) -> None:
        """Return once no request is in flight."""
        await self._none.wait()
