"""For sinks that look what a target has and then write to it: attempts must not meet there, nor overtake each other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from weakref import WeakValueDictionary

from gateway.errors import RetryLater

SETTLES = 120.0
"""Seconds after which a target is taken to have ended a request that nobody waits for (Odoo's own limit_time_real)."""


class Unanswered(RetryLater):
    """No answer came: the target may still be at work on the request, and commit it later."""


class WriteGuard:
    """The writes of one attempt: none begins later than `latest`, a time of the clock's.

    An attempt that runs out of time in the middle of a write leaves the target at it, and the next one could overtake
    it.
    """

    def __init__(self, now: Callable[[], float], latest: float) -> None:
        self.now = now
        self.latest = latest

    @contextlib.contextmanager
    def begin(self, what: str) -> Iterator[None]:
        """Around a write. RetryLater where it could not be waited for; or, if it stays without an answer, not before
        the target has surely ended it."""
        if self.now() > self.latest:
            raise RetryLater(f"{what}: the target is too slow for another write in this attempt")
        try:
            yield
        except Unanswered as error:
            raise RetryLater(str(error), max(SETTLES, error.after or 0.0)) from error


class OrderLocks:
    """A lock for each key, such as an order's reference; it lives as long as someone holds or awaits it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: str) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())
