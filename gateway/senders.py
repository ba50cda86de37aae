"""The senders who wait for an answer just now. Deliveries give way to them: see gateway.dispatch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

CROWD = 16
"""Requests at once that are a rush: a sender that waits for each answer before its next signal never makes one."""
CROWD_LASTS = 0.1
"""Seconds for which it goes on: all at once are answered at once, and soon back."""
RECENT = 1.0
"""Seconds after a request for which more are expected."""
LULL = 0.003
"""Seconds that deliveries wait for a sender's answer at the most: about what one takes beside them."""
IN_VAIN = 0.03
"""Seconds for which they do not wait after they did in vain: where there always is someone, it helps nobody."""


class Senders:
    """Counts requests, each from when it has come until it is answered. `now` is in seconds, from anywhere."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._waiting = 0
        self._came_at = self._crowded_at = float("-inf")
        self._waited_at = float("-inf")
        self._nobody = asyncio.Event()
        self._nobody.set()

    def come(self) -> None:
        """A request has come."""
        self._waiting += 1
        self._came_at = self._now()
        if self._waiting >= CROWD:
            self._crowded_at = self._came_at
        self._nobody.clear()

    def go(self) -> None:
        """A request is answered."""
        self._waiting -= 1
        if not self._waiting:
            self._nobody.set()

    @property
    def crowded(self) -> bool:
        """Whether many wait at once, or did just now."""
        return self._now() - self._crowded_at < CROWD_LASTS

    @property
    def about(self) -> bool:
        """Whether some wait, or are to be expected any time."""
        return self._waiting > 0 or self._now() - self._came_at < RECENT

    async def gone(self) -> None:
        """Wait until nobody waits."""
        await self._nobody.wait()

    async def lull(self) -> None:
        """The same, but not for long."""
        if not self._waiting or 0 <= self._now() - self._waited_at < IN_VAIN:
            return
        try:
            async with asyncio.timeout(LULL):
                await self._nobody.wait()
        except TimeoutError:
            self._waited_at = self._now()
