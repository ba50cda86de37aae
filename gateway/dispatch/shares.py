"""What each tenant was given of the gateway's own time, and who lets others catch up."""

from __future__ import annotations

import math
from collections import Counter

CALL = 0.3e-3
"""Seconds of a core that a call of a sink costs, about, as tests.bench.delivery has it."""
DELIVERY = 0.08e-3
"""Seconds that each delivery in it costs beside."""
LEAD = 0.005
"""How far a tenant may be ahead of another, in seconds of a core, before it lets that one catch up."""
WINDOW = 0.05
"""How far a tenant may fall behind: one that was idle, or could not use its share, gets no more than this in one go."""
SPARE = 0.05
"""Part of a core that a tenant may use without ever being ahead."""
PATIENCE = 0.25
"""Seconds that a tenant lets others catch up at the most: what they wait for may be the store, and not the core. Then
it is free for as long."""


class Shares:
    """An account of each tenant, in seconds of a core.

    A tenant that is ahead of another starts nothing while something of the other is in the gateway's hands, and not
    with its target: that would have to wait for what is started. So tenants get the same where the gateway is the
    bottleneck, however many routes each has. Where targets are, or nobody else has anything to deliver, nobody waits.
    """

    def __init__(self) -> None:
        self._given: dict[str, float] = {}
        self._at: dict[str, float] = {}
        self._in_hand: Counter[str] = Counter()
        self._waits_since: dict[str, float] = {}

    def given(self, tenant: str) -> float:
        """What it was given; only differences mean something. Who has the least comes first."""
        return self._given.get(tenant, float("-inf"))

    def may_start(self, tenant: str, now: float) -> bool:
        """Whether it need not let others catch up."""
        level = self.given(tenant) - self._spared(tenant, now) - LEAD
        if not any(self._given[other] < level for other in self._in_hand):
            self._waits_since.pop(tenant, None)
            return True
        waited = now - self._waits_since.setdefault(tenant, now)
        if not 0 <= waited < 2 * PATIENCE:  # below 0, the clock was set back
            waited, self._waits_since[tenant] = 0.0, now
        return waited >= PATIENCE

    def behind(self, tenant: str) -> bool:
        """Whether it was given clearly less than another."""
        return self.given(tenant) + LEAD < max(self._given.values(), default=0.0)

    def start(self, tenant: str, calls: int, seconds: float, now: float) -> None:
        """Calls of sinks, which cost so much in all, are begun: claimed, for a start."""
        most = max(self._given.values(), default=0.0)
        level = max(self._given.get(tenant, most) - self._spared(tenant, now), most - WINDOW)
        self._given[tenant] = level + seconds
        self._at[tenant] = now
        self._count(tenant, calls)

    def give_back(self, tenant: str, calls: int, seconds: float) -> None:
        """So many of those will not be, for want of deliveries that are due."""
        self._given[tenant] -= seconds
        self._count(tenant, -calls)

    def call(self, tenant: str) -> None:
        """A call is with the sink."""
        self._count(tenant, -1)

    def answer(self, tenant: str) -> None:
        """A sink has answered: what it did is to be recorded."""
        self._count(tenant, 1)

    def end(self, tenant: str) -> None:
        """What a sink answered is recorded."""
        self._count(tenant, -1)

    def _spared(self, tenant: str, now: float) -> float:
        return SPARE * max(0.0, now - self._at.get(tenant, now))

    def _count(self, tenant: str, calls: int) -> None:
        self._in_hand[tenant] += calls
        if not self._in_hand[tenant]:
            del self._in_hand[tenant]


def cost(deliveries: int, batch: int) -> float:
    """Seconds of a core that deliveries cost, in calls of `batch` each."""
    return calls_of(deliveries, batch) * CALL + deliveries * DELIVERY


def cut(deliveries: int, batch: int, seconds: float, whole: bool = True) -> int:
    """As many of the deliveries as may cost so much, in whole calls; at the least one call, or where it need not be
    `whole`, one delivery."""
    if not whole and cost(batch, batch) > seconds:
        return min(deliveries, max(1, int((seconds - CALL) / DELIVERY)))
    return min(deliveries, max(1, int(seconds / cost(batch, batch))) * batch)


def calls_of(deliveries: int, batch: int) -> int:
    return math.ceil(deliveries / batch)
