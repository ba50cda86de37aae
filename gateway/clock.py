"""The gateway's time: the wall clock without its jumps."""

from __future__ import annotations

import time
from collections.abc import Callable

SLEW = 0.5
"""By how much a second of the gateway's may differ from a true one while it catches up with a wall clock that jumped.
A lease, which is some minutes longer than its attempt, still outlasts it then."""


class Clock:
    """Seconds since the epoch, as `wall` tells them, but never back, and never forth by more than time has passed.

    What waits (a retry, a breaker, a rate) is told its end as a time of day. If someone sets the computer's clock a
    day back, a gateway that believed it would wait for that day, and if forth, give deliveries up that are a minute
    old. So a jump is not believed but approached: each second of `steady` counts as 0.5 to 1.5 seconds until both
    agree. While nobody sets the clock this is the wall clock exactly.
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._steady = steady
        self._seen = steady()
        self._now = wall()

    def __call__(self) -> float:
        seen = self._steady()
        passed = max(0.0, seen - self._seen)
        self._seen = seen
        ahead = self._wall() - self._now - passed
        self._now += passed + max(-SLEW * passed, min(SLEW * passed, ahead))
        return self._now

    def ahead(self) -> float:
        """How many seconds the wall clock is ahead (negative: behind)."""
        return self._wall() - self()
