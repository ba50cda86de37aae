"""Counts answers to senders and attempts of deliveries by hour, for charts and reports that outlive a restart.

Counting is an addition on the event loop; the sums are written every few seconds. A killed gateway loses the sums of
its last seconds. The counts of accepted signals by type lose nothing: they are made from the signals themselves, see
gateway.operate.follow.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import structlog

from gateway.errors import StoreError
from gateway.metrics import Observer, feed_all
from gateway.store.contract_orders import Orders

log = structlog.get_logger()

EVERY = 5.0
"""Seconds between two writes."""


class HourlyCounts:
    """Counts between an observer and the store. `now` is the gateway's clock, in seconds."""

    def __init__(self, observer: Observer, store: Orders, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._answers: Counter[tuple[str, str]] = Counter()
        self._outcomes: Counter[tuple[str, str, str]] = Counter()
        for name, count in (("signal_received", self._count_answer), ("delivery_attempted", self._count_outcome)):
            setattr(observer, name, feed_all([getattr(observer, name), count]))

    def _count_answer(self, account: str, code: int, seconds: float) -> None:
        self._answers[account, str(code)] += 1

    def _count_outcome(self, account: str, route: str, sink: str, outcome: str, seconds: float) -> None:
        self._outcomes[account, route, outcome] += 1

    async def watch(self, every: float = EVERY) -> None:
        """Write the sums again and again without end."""
        while True:
            await asyncio.sleep(every)
            await self.save()

    async def save(self) -> None:
        """Add the sums to the present hour. If the store fails, they are added the next time."""
        answers, outcomes = self._answers.copy(), self._outcomes.copy()
        if not answers and not outcomes:
            return
        self._answers.clear()
        self._outcomes.clear()
        try:
            await self._store.add_hourly_counts(answers, outcomes, self._now())
        except StoreError as error:
            self._answers.update(answers)
            self._outcomes.update(outcomes)
            log.warning("store.counts_failed", reason=str(error))
