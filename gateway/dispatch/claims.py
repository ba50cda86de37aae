"""What is claimed next: whose turn it is, and how much it may have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from gateway.dispatch.pace import Pace
from gateway.dispatch.places import Places
from gateway.dispatch.runner import Runner
from gateway.dispatch.shares import PATIENCE, Shares, calls_of, cost, cut
from gateway.dispatch.turns import Turns
from gateway.store.values import ClaimRequest

ROUND = 0.005
"""Seconds of a core that what is claimed at once may cost, but for a first call: what bounds how long others wait for
their turn, and signals for the writer. In larger lots, calls begin and end all at once, and targets rest meanwhile."""
SMALL = 0.003
"""The same while senders are about, who wait for the writer too."""
MOST = 0.1
"""The same where claims take long, as the store is slow: as much as a core does meanwhile, but no more than this."""


class Claims:
    """Routes that wait for a turn, and what each tenant and route has in hand.

    `opens_later(at, runner)` is told of one that has no room now, and when it may have.
    """

    def __init__(self, opens_later: Callable[[float, Runner], None]) -> None:
        self._opens_later = opens_later
        self._turns: Turns[Runner] = Turns()
        self._places = Places()
        self._shares = Shares()
        self._crowded: list[Runner] = []
        self._began: float | None = None
        self._pace = Pace()

    def add(self, runner: Runner) -> None:
        """It has something due, or may have."""
        self._turns.add(runner)

    @property
    def waited_for(self) -> bool:
        """Whether some wait: for others to catch up, or for the pace."""
        return bool(self._turns)

    def wait(self, now: float) -> float:
        """Seconds after which those that wait may have their turn, whatever happens meanwhile."""
        return self._pace.wait(now) or PATIENCE

    def choose(self, now: float, pace: float = 0.0) -> list[ClaimRequest]:
        """What to claim. It counts as taken until it is `claimed`. With a `pace`, so many seconds pass for each second
        of a core that it costs, but for tenants that are behind; and a call may be cut to the size of a lot."""
        self._queue_crowded()
        self._pace.set(pace, now)
        early = self._pace.wait(now) > 0
        wants: list[ClaimRequest] = []
        left = SMALL if pace else self._size(now)
        part = max(ROUND, left / max(1, self._places.tenants))  # of a large lot, for each that has something in hand
        parts: defaultdict[str, float] = defaultdict(float)
        while left > 0 and (runner := self._next(now, early, lambda tenant: parts[tenant] < part)) is not None:
            slots, places = runner.slots(now), self._places.room(runner)
            if min(slots, places) > 0:
                batch = runner.sink_class.batch
                limit = cut(min(slots, places), batch, min(left, part - parts[runner.tenant]), not pace or bool(wants))
                price = cost(limit, batch)
                if price > left and wants:
                    self._turns.put_back(runner)  # rather than give it a remainder, which makes for small batches
                    break
                wants.append(ClaimRequest(*runner.key, limit, runner.replay_slots()))
                self._places.take(runner, limit)
                self._shares.start(runner.tenant, calls_of(limit, batch), price, now)
                self._pace.pay(price, now)
                left -= price
                parts[runner.tenant] += price
            elif slots > 0:
                self._crowded.append(runner)
            elif (at := runner.opens_at(now)) is not None:
                self._opens_later(at, runner)
        self._began = now if wants else None
        return wants

    def _size(self, now: float) -> float:
        """What to claim may cost so much, by the time since the last claim began, if nothing was waited for since."""
        return ROUND if self._began is None else min(MOST, max(ROUND, now - self._began))

    def _next(self, now: float, early: bool, may: Callable[[str], bool]) -> Runner | None:
        def may_start(tenant: str) -> bool:
            in_time = not early or self._shares.behind(tenant)
            return in_time and may(tenant) and self._shares.may_start(tenant, now)

        return self._turns.take(self._shares.given, may_start)

    def _queue_crowded(self) -> None:
        """Those that found no place try again, now that something has changed."""
        for runner in self._crowded:
            self._turns.add(runner)
        self._crowded.clear()

    def claimed(self, runner: Runner, limit: int, deliveries: int) -> None:
        """Of the limit, so many deliveries were due; none where the claim failed."""
        self._places.take(runner, deliveries - limit)
        batch = runner.sink_class.batch
        unused = calls_of(limit, batch) - calls_of(deliveries, batch)
        saved = cost(limit, batch) - cost(deliveries, batch)
        self._pace.refund(saved)
        self._shares.give_back(runner.tenant, unused, saved)

    # -- what runners tell of their attempts

    def called(self, runner: Runner) -> None:
        self._shares.call(runner.tenant)

    def answered(self, runner: Runner) -> None:
        self._shares.answer(runner.tenant)

    def finished(self, runner: Runner, deliveries: int) -> None:
        self._shares.end(runner.tenant)
        self._places.take(runner, -deliveries)
