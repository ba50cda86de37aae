"""What is claimed next: whose turn it is, and how much it may have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from gateway.dispatch.places import Places
from gateway.dispatch.runner import Runner
from gateway.dispatch.shares import Shares, calls_of, cost, cut
from gateway.dispatch.turns import Turns
from gateway.store.values import Want

ROUND = 0.005
"""Seconds of a core that what is claimed at once may cost, but for a first call: what bounds how long others wait for
their turn, and signals for the writer. In larger lots, calls begin and end all at once, and targets rest meanwhile."""
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
        self._spent = 0.0

    def add(self, runner: Runner) -> None:
        """It has something due, or may have."""
        self._turns.add(runner)

    @property
    def waited_for(self) -> bool:
        """Whether some wait for others to catch up."""
        return bool(self._turns)

    def choose(self, now: float) -> list[Want]:
        """What to claim. It counts as taken until it is `claimed`."""
        self._queue_crowded()
        wants: list[Want] = []
        left = self._size(now)
        part = max(ROUND, left / max(1, self._places.tenants))  # of a large lot, for each that has something in hand
        parts: defaultdict[str, float] = defaultdict(float)
        while left > 0 and (runner := self._next(now, lambda tenant: parts[tenant] < part)) is not None:
            slots, places = runner.slots(now), self._places.room(runner)
            if min(slots, places) > 0:
                batch = runner.sink_class.batch
                limit = cut(min(slots, places), batch, min(left, part - parts[runner.tenant]))
                price = cost(limit, batch)
                if price > left and wants:
                    self._turns.put_back(runner)  # rather than give it a remainder, which makes for small batches
                    break
                wants.append(Want(*runner.key, limit, runner.replay_slots()))
                self._places.take(runner, limit)
                self._shares.start(runner.tenant, calls_of(limit, batch), price, now)
                self._spent += price
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

    def _next(self, now: float, may: Callable[[str], bool]) -> Runner | None:
        return self._turns.take(self._shares.given, lambda tenant: may(tenant) and self._shares.may_start(tenant, now))

    def _queue_crowded(self) -> None:
        """Those that found no place try again, now that something has changed."""
        for runner in self._crowded:
            self._turns.add(runner)
        self._crowded.clear()

    def claimed(self, runner: Runner, limit: int, deliveries: int) -> None:
        """Of the limit, so many deliveries were due; none where the claim failed."""
        self._places.take(runner, deliveries - limit)
        batch = runner.sink_class.batch
        unused, saved = (
            calls_of(limit, batch) - calls_of(deliveries, batch),
            cost(limit, batch) - cost(deliveries, batch),
        )
        self._spent -= saved
        self._shares.give_back(runner.tenant, unused, saved)

    def bill(self) -> float:
        """What was claimed since the last bill costs, in seconds of a core."""
        spent, self._spent = self._spent, 0.0
        return spent

    def rested(self) -> None:
        """Nothing was claimed for a while, on purpose: the next lot is not to make up for it."""
        self._began = None

    # -- what runners tell of their attempts

    def called(self, runner: Runner) -> None:
        self._shares.call(runner.tenant)

    def answered(self, runner: Runner) -> None:
        self._shares.answer(runner.tenant)

    def finished(self, runner: Runner, deliveries: int) -> None:
        self._shares.end(runner.tenant)
        self._places.take(runner, -deliveries)
