"""The loop between the store and the routes: who has room and something due, claims in fair turns."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from gateway.dispatch.claims import Claims
from gateway.dispatch.runner import NEVER, Runner
from gateway.errors import StoreError
from gateway.model import Delivery
from gateway.senders import Senders
from gateway.store.contract import Store
from gateway.store.values import ClaimRequest, RouteState

log = structlog.get_logger()

LEASE = 300.0
"""Seconds a lease lasts beyond the attempt's own time limit, so that a result still finds it."""
SHARED_LEASE = 30.0
"""The same where other gateways share the store, in all: what one held when it died waits so long for another. Clocks
of gateways may differ by less than what is left of it between two beats."""
BEAT = 10.0
"""Seconds between renewals of the leases of what runs, where the store is shared."""
RUSH_PACE = 10.0
"""How many seconds deliveries have for each that they take of a core, while many senders wait for their answers: they
get a tenth of it, and what they leave is delivered once the rush is over."""
PACE = 1.3
"""The same while some senders are about: what they send finds the core free, or soon, and not behind as many
deliveries as there can be."""
POLL = 2.0
"""Seconds between looks for what nobody told of: another process's replay or pause, a lease that ran out."""


class Dispatcher:
    """Keeps every route busy with what it has due, within its limits. Holds no backlog: the store does. Gives way to
    `senders`."""

    def __init__(
        self,
        runners: Iterable[Runner],
        store: Store,
        now: Callable[[], float],
        senders: Senders,
    ) -> None:
        self._id = uuid.uuid4().hex
        self.runners = {runner.key: runner for runner in runners}
        self._store = store
        self._now = now
        self._senders = senders
        self._claims = Claims(self._set_timer)
        self._timers: list[tuple[float, int, Runner]] = []
        self._alarms: dict[Runner, float] = {}
        self._ticket = itertools.count()
        self._woken = asyncio.Event()
        self._ended = asyncio.Event()
        self._leaving: list[tuple[frozenset[tuple[str, str]], asyncio.Future[list[Runner]]]] = []
        self._coming: list[Runner] = []
        self._ending: set[Runner] = set()
        self._loop: asyncio.Task[None] | None = None
        self._heart: asyncio.Task[None] | None = None
        self._stopping = False
        self._polled_at = float("-inf")

    def start(self) -> None:
        """Begin to dispatch what is due, and what an earlier run left."""
        self._loop = asyncio.create_task(self._run())
        if self._store.shared:
            for runner in self.runners.values():
                self._wait_to_hold(runner)
            self._heart = asyncio.create_task(self._renew())
        for runner in self.runners.values():
            runner.open_early()

    def wake(self, account: str, routes: Iterable[str]) -> None:
        """Something was committed for these routes."""
        for name in routes:
            runner = self.runners.get((account, name))
            if runner is not None:
                runner.due = 0.0
                self._claims.add(runner)
        self._woken.set()

    def hear(self, routes: Sequence[tuple[str, str]]) -> None:
        """Another process committed something for these routes; where none is named, for any."""
        for account, name in routes:
            self.wake(account, [name])
        if not routes:
            self._polled_at = float("-inf")
            self._woken.set()

    def _wait_to_hold(self, runner: Runner) -> None:
        if self._store.shared and runner.sink_class.single_writer:
            runner.held_until = NEVER

    async def stop(self, grace: float) -> None:
        """Start nothing more; let what runs end within `grace` seconds, then give it back; close the sinks."""
        self._stopping = True
        self._ended.set()
        self._woken.set()
        if self._loop is not None:
            await self._loop
        for _, left in self._leaving:
            left.cancel()
        await asyncio.gather(*(runner.end(grace) for runner in {*self.runners.values(), *self._ending}))
        if self._heart is not None:
            self._heart.cancel()
            await self._give_back_alone()

    async def change(self, gone: Iterable[tuple[str, str]], new: Iterable[Runner], grace: float) -> None:
        """Take routes away and bring new ones in. One that is in both is replaced when what it runs has ended within
        `grace` seconds, or was given back: two sinks must not work side by side, on one file for instance."""
        keys = frozenset(gone)
        runners = list(new)
        self._bring(runner for runner in runners if runner.key not in keys)
        if keys:
            left: asyncio.Future[list[Runner]] = asyncio.get_running_loop().create_future()
            self._leaving.append((keys, left))
            self._woken.set()
            ending = await left
            await asyncio.gather(*(runner.end(grace) for runner in ending))
            self._ending.difference_update(ending)
        self._bring(runner for runner in runners if runner.key in keys)

    def _bring(self, runners: Iterable[Runner]) -> None:
        self._coming += runners
        self._woken.set()

    # -- the loop

    async def _run(self) -> None:
        while not self._stopping:
            try:
                self._take_changes()
                await self._poll()
                await self._senders.lull()
                self._ring(self._now())
                wants = self._claims.choose(self._now(), self._pace())
                if wants:
                    await self._claim(wants)
                else:
                    await self._wait()
            except StoreError as error:
                log.warning("dispatch.store_failed", reason=str(error))
                await self._rest(error.retry_after)

    def _take_changes(self) -> None:
        """Here only do routes come and go: nothing is being claimed."""
        for keys, left in self._leaving:
            runners = [self.runners.pop(key) for key in keys if key in self.runners]
            for runner in runners:
                runner.retire()
            self._ending.update(runners)
            if not left.done():
                left.set_result(runners)
        self._leaving.clear()
        if self._coming:
            self.runners |= {runner.key: runner for runner in self._coming}
            for runner in self._coming:
                self._wait_to_hold(runner)
                runner.open_early()
            self._coming.clear()
            self._polled_at = float("-inf")  # what they have to follow, and to do, is in the store

    async def _poll(self) -> None:
        now = self._now()
        # Before the last poll is late, too: the clock was set back.
        if 0 <= now - self._polled_at < POLL:
            return
        self._follow(await self._store.read_route_states())
        due = await self._store.read_next_due(self.runners)
        self._polled_at = now
        for key, at in due.items():
            self._expect(self.runners[key], at, now)

    def _follow(self, states: Mapping[tuple[str, str], RouteState]) -> None:
        for key, runner in self.runners.items():
            runner.follow(states.get(key) or RouteState(*key))

    def _expect(self, runner: Runner, at: float | None, now: float) -> None:
        """Take note of when the route has something to claim."""
        runner.due = at
        if at is None:
            return
        if at <= now:
            self._claims.add(runner)
        else:
            self._set_timer(at, runner)

    def _set_timer(self, at: float, runner: Runner) -> None:
        """One a route, the earliest: a route that many signals wake while it waits must not pile them up."""
        if self._alarms.get(runner, float("inf")) <= at:
            return
        self._alarms[runner] = at
        heapq.heappush(self._timers, (at, next(self._ticket), runner))

    def _ring(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            at, _, runner = heapq.heappop(self._timers)
            if self._alarms.get(runner) == at:
                del self._alarms[runner]
            self._claims.add(runner)

    async def _claim(self, wants: Sequence[ClaimRequest]) -> None:
        now = self._now()
        for want in wants:
            # Taken note of before the claim: what is committed meanwhile sets it again.
            self.runners[want.account, want.route].due = None
        try:
            claim = await self._store.claim(wants, now, self._lease_until(wants, now))
        except StoreError:
            self._give_up(wants)
            raise
        claimed = group_by_route(claim.deliveries)
        for want in wants:
            runner = self.runners[want.account, want.route]
            deliveries = claimed.get(runner.key, ())
            self._claims.claimed(runner, want.limit, len(deliveries))
            runner.start(deliveries, self)
            if runner.due is None:
                self._expect(runner, claim.next_due.get(runner.key), now)

    def _lease_until(self, wants: Iterable[ClaimRequest], now: float) -> float:
        if self._store.shared:
            return now + SHARED_LEASE
        return now + max(self.runners[want.account, want.route].timeout for want in wants) + LEASE

    async def _keep_alone(self) -> None:
        """Keep the routes whose sinks work alone, or get those that are nobody's any more."""
        alone = [runner for runner in self.runners.values() if runner.sink_class.single_writer]
        if not alone:
            return
        now = self._now()
        until = now + SHARED_LEASE
        try:
            kept = await self._store.own_routes([runner.key for runner in alone], self._id, now, until)
        except StoreError as error:
            log.warning("dispatch.routes_not_kept", reason=str(error))  # they end when their time runs out
            return
        for runner in alone:
            if runner.key in kept and not (runner.held_until == NEVER and runner.running):
                gained, runner.held_until = runner.held_until == NEVER, until
                if gained:
                    runner.open_early()
                self.wake(runner.route.account, [runner.route.name])
            else:
                await runner.let_go()

    async def _give_back_alone(self) -> None:
        """Have others take over at once what only this gateway worked on."""
        held = [runner.key for runner in self.runners.values() if runner.sink_class.single_writer]
        with contextlib.suppress(StoreError):
            await self._store.own_routes(held, self._id, self._now(), self._now())

    async def _renew(self) -> None:
        """Keep the leases of what runs, as long as it takes."""
        await self._keep_alone()
        while True:
            await asyncio.sleep(BEAT)
            await self._keep_alone()
            runners = {*self.runners.values(), *self._ending}
            held = [delivery for runner in runners for delivery in runner.in_hand()]
            try:
                if held:
                    await self._store.renew(held, self._now() + SHARED_LEASE)
            except StoreError as error:
                log.warning("dispatch.leases_not_renewed", deliveries=len(held), reason=str(error))

    def _give_up(self, wants: Iterable[ClaimRequest]) -> None:
        """Put routes back whose claim failed."""
        for want in wants:
            self._claims.claimed(self.runners[want.account, want.route], want.limit, 0)
            self.wake(want.account, [want.route])

    # -- what runners tell of their attempts

    def called(self, runner: Runner) -> None:
        self._claims.called(runner)
        if self._claims.waited_for:
            self._woken.set()

    def answered(self, runner: Runner) -> None:
        self._claims.answered(runner)

    def finished(self, runner: Runner, deliveries: int) -> None:
        """There is room, and perhaps a lane's next delivery is due."""
        self._claims.finished(runner, deliveries)
        self.wake(runner.route.account, [runner.route.name])

    # -- waits

    def _pace(self) -> float:
        return RUSH_PACE if self._senders.crowded else PACE if self._senders.about else 0.0

    async def _wait(self) -> None:
        until = min(self._timers[0][0], self._polled_at + POLL) if self._timers else self._polled_at + POLL
        now = self._now()
        seconds = max(0.0, until - now)
        if self._claims.waited_for:
            seconds = min(seconds, self._claims.wait(now))
        if self._claims.waited_for and self._senders.crowded:
            await self._rest(seconds)  # each of the crowd would wake us, and has nothing new to tell
        else:
            await self._pause(seconds)

    async def _rest(self, seconds: float) -> None:
        """Do nothing, whoever wakes us meanwhile."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), min(seconds, POLL))

    async def _pause(self, seconds: float) -> None:
        """Wait for a wake-up, `seconds` at the most."""
        try:
            await asyncio.wait_for(self._woken.wait(), min(seconds, POLL))
        except TimeoutError:
            return
        finally:
            self._woken.clear()


def group_by_route(deliveries: Iterable[Delivery]) -> dict[tuple[str, str], list[Delivery]]:
    groups: dict[tuple[str, str], list[Delivery]] = {}
    for delivery in deliveries:
        groups.setdefault((delivery.signal.account, delivery.route), []).append(delivery)
    return groups
