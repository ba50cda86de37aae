"""The gateway's clock: the wall clock without jumps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

MAX_SLEW = 0.5
"""Most seconds per second by which the gateway's clock runs fast or slow while it follows a jump of the wall clock.
At 0.5, leases still outlast their attempts: they are some minutes longer."""


class Clock:
    """Seconds since the epoch by the clock `wall`, but without its jumps.

    Retries, breakers and rates wait until a time of day. If the computer's clock were set back a day, they would wait
    that day; set forward, young deliveries would be given up. So the clock follows a jump slowly: each second of
    `steady` counts as 0.5 to 1.5 seconds until both clocks agree. Without jumps it equals the wall clock.
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
        self._now += passed + max(-MAX_SLEW * passed, min(MAX_SLEW * passed, ahead))
        return self._now

    def ahead(self) -> float:
        """Return the seconds by which the wall clock is ahead (negative: behind)."""
        return self._wall() - self()


WATCH_INTERVAL = 2.0
"""Seconds between looks at the wall clock. Short enough that a jump is logged before its effects are asked about."""
JUMP_LOGGED_FROM = 30.0
"""Seconds between the wall clock and the gateway's clock from which a jump is logged. Time servers correct less."""


async def watch_clock(clock: Clock, report_ahead: Callable[[float], None]) -> None:
    """Log when the wall clock jumps, and when both clocks agree again. Never returns.

    `report_ahead` is called with the difference in seconds at each look.
    """
    jumped = False
    while True:
        ahead = clock.ahead()
        report_ahead(ahead)
        if (abs(ahead) > JUMP_LOGGED_FROM) != jumped:
            jumped = not jumped
            write = log.warning if jumped else log.info
            write("clock.jumped" if jumped else "clock.agrees", ahead=round(ahead, 1))
        await asyncio.sleep(WATCH_INTERVAL)
