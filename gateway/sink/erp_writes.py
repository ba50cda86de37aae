"""Helpers for sinks that read an ERP's records and then write to them.

Attempts on one order must neither overlap (OrderLocks) nor overtake each other (WriteGuard).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from weakref import WeakValueDictionary

from gateway.errors import RetryLater, Unanswered

ABANDONED_WRITE_WAIT = 120.0
"""Least wait (s) after a write without an answer. Odoo ends a request after 120 s (its default limit_time_real)."""


class WriteGuard:
    """Guards the writes of one attempt. No write begins after `latest`, a time of the clock `now`.

    If an attempt ran out of time during a write, the target would go on with it, and the next attempt could overtake
    that write.
    """

    def __init__(self, now: Callable[[], float], latest: float) -> None:
        self.now = now
        self.latest = latest

    @contextlib.contextmanager
    def begin(self, what: str) -> Iterator[None]:
        """Enclose a write. Raises RetryLater if too little time is left to wait for the answer.

        If no answer comes, the retry waits until the target must have ended the request.
        """
        if self.now() > self.latest:
            raise RetryLater(f"{what}: the target is too slow for another write in this attempt")
        try:
            yield
        except Unanswered as error:
            raise RetryLater(str(error), max(ABANDONED_WRITE_WAIT, error.after or 0.0), firm=True) from error


class OrderLocks:
    """Locks by order reference. A lock exists while an attempt holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: str) -> asyncio.Lock:
        """Return the lock of an order."""
        return self._locks.setdefault(key, asyncio.Lock())
