"""How fast deliveries may go while senders are about."""

from __future__ import annotations

TICK = 0.001
"""Seconds too early at which a turn may come: the loop's timers know no less."""
CREDIT = 0.005
"""Seconds of lateness that are made up for."""
LONGEST = 1.0
"""Seconds that anything waits at the most, whatever was paid for."""


class Pace:
    """Has so many seconds pass for each second of a core that is paid for; with none, nothing waits."""

    def __init__(self) -> None:
        self._factor = 0.0
        self._next_at = float("-inf")

    def set(self, factor: float, now: float) -> None:
        """From now on, go at this pace."""
        self._factor = factor
        self._next_at = min(self._next_at, now + LONGEST) if factor else now

    def pay(self, seconds: float, now: float) -> None:
        """Something that costs so much begins."""
        self._next_at = max(self._next_at, now - CREDIT) + self._factor * seconds

    def refund(self, seconds: float) -> None:
        """So much less than was paid for will be."""
        self._next_at -= self._factor * seconds

    def wait(self, now: float) -> float:
        """Seconds until the next may begin; 0 where it may now."""
        return self._next_at - now if self._next_at - TICK > now else 0.0
