"""Deliveries give way to requests: the gauge of traffic, the pace of deliveries, and the short waits for answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gateway.dispatch.tuning import DEFAULT_TUNING, Tuning
from gateway.in_flight import InFlightRequests

LONG_AGO = float("-inf")


class Traffic:
    """A gauge of requests: many at once (`rush`), or some (`present`). `now` is any clock, in seconds."""

    def __init__(self, requests: InFlightRequests, tuning: Tuning, now: Callable[[], float]) -> None:
        self._requests = requests
        self._tuning = tuning
        self._now = now
        self._last_at = self._last_rush_at = LONG_AGO
        requests.on_begin(self._note)

    def _note(self, count: int) -> None:
        self._last_at = self._now()
        if count >= self._tuning.rush_requests:
            self._last_rush_at = self._last_at

    @property
    def rush(self) -> bool:
        """True while many requests are in flight at once, or were just now."""
        return self._now() - self._last_rush_at < self._tuning.rush_lasts

    @property
    def present(self) -> bool:
        """True while a request is in flight, or one may come at any time, as one came just now."""
        return self._requests.count > 0 or self._now() - self._last_at < self._tuning.traffic_lasts


class Throttle:
    """Slows deliveries down while there are requests.

    Its pace is the number of seconds that pass for each second of CPU time that deliveries cost: more in a rush, less
    beside some requests, and 0 without any. With a pace of 0 nothing waits.
    """

    def __init__(
        self,
        requests: InFlightRequests,
        tuning: Tuning = DEFAULT_TUNING,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.traffic = Traffic(requests, tuning, monotonic)
        self._requests = requests
        self._tuning = tuning
        self._monotonic = monotonic
        self._pace = 0.0
        self._next_at = LONG_AGO
        self._gave_way_in_vain_at = LONG_AGO

    @property
    def active(self) -> bool:
        """True if deliveries are slowed down, as of the last `adapt`."""
        return self._pace > 0

    def adapt(self, now: float) -> None:
        """Choose the pace by the traffic. `now` is on the gateway's clock, as for `charge` and `delay`."""
        tuning = self._tuning
        self._pace = tuning.rush_pace if self.traffic.rush else tuning.traffic_pace if self.traffic.present else 0.0
        self._next_at = min(self._next_at, now + tuning.longest_throttle) if self._pace else now

    def charge(self, seconds: float, now: float) -> None:
        """Begin deliveries that cost so much CPU time."""
        self._next_at = max(self._next_at, now - self._tuning.throttle_credit) + self._pace * seconds

    def refund(self, seconds: float) -> None:
        """Take back CPU time that was charged and will not be spent."""
        self._next_at -= self._pace * seconds

    def delay(self, now: float) -> float:
        """Return the seconds until more deliveries may begin; 0 if they may now."""
        return self._next_at - now if self._next_at - self._tuning.timer_resolution > now else 0.0

    async def give_way(self) -> None:
        """Wait until no request is in flight, but only for a moment.

        After a wait in vain, do not wait again for a while. Where requests never cease, each attempt would wait three
        times and a route with few calls at a time would fall behind its signals.
        """
        rested = self._monotonic() - self._gave_way_in_vain_at
        if not self._requests.count or 0 <= rested < self._tuning.give_way_rest:
            return
        try:
            async with asyncio.timeout(self._tuning.longest_give_way):
                await self._requests.wait_until_none()
        except TimeoutError:
            self._gave_way_in_vain_at = self._monotonic()
