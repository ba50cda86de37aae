"""The loop between the store and the routes: it finds due routes, claims by admission, and starts runners."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from gateway.dispatch.admission import Admission
from gateway.dispatch.heartbeat import Heartbeat
from gateway.dispatch.route_state import LiveRouteState
from gateway.dispatch.runner import Runner
from gateway.dispatch.throttle import LONG_AGO, Throttle
from gateway.dispatch.tuning import DEFAULT_TUNING, Tuning
from gateway.errors import GatewayError, StoreError
from gateway.model import Delivery, RouteKey
from gateway.store.contract import Queue
from gateway.store.values import ClaimRequest, RouteState

log = structlog.get_logger()


class Dispatcher:
    """Keeps every route busy with its due deliveries, within its limits. The backlog stays in the store."""

    def __init__(
        self,
        runners: Iterable[Runner],
        store: Queue,
        now: Callable[[], float],
        throttle: Throttle,
        tuning: Tuning = DEFAULT_TUNING,
    ) -> None:
        self.runners = {runner.key: runner for runner in runners}
        self._store = store
        self._now = now
        self._throttle = throttle
        self._tuning = tuning
        self._woken = asyncio.Event()
        self._stopped = asyncio.Event()
        self.admission = Admission(throttle, self._set_timer, self._woken.set, tuning)
        self._timers: list[tuple[float, int, LiveRouteState]] = []
        self._timer_of: dict[LiveRouteState, float] = {}
        self._number = itertools.count()
        self._removals: list[tuple[frozenset[RouteKey], asyncio.Future[list[Runner]]]] = []
        self._additions: list[Runner] = []
        self._retired: set[Runner] = set()
        self._heartbeat = Heartbeat(store, self.runners, self._retired, self.admission.mark_due, now, tuning)
        self._loop: asyncio.Task[None] | None = None
        self._polled_at = LONG_AGO
        self._poll_after = tuning.poll_interval
        self._poll_now = True

    def start(self) -> None:
        """Begin to dispatch due deliveries, also those that an earlier run left."""
        self._loop = asyncio.create_task(self._run())
        for runner in self.runners.values():
            self._wait_for_ownership(runner)
        if self._store.shared:
            self._heartbeat.start()
        for runner in self.runners.values():
            runner.open_at_start()

    def wake(self, account: str, routes: Iterable[str]) -> None:
        """Look for deliveries of these routes, as something was committed for them."""
        for name in routes:
            runner = self.runners.get((account, name))
            if runner is not None:
                runner.state.expect_more()
                self.admission.mark_due(runner.state)

    def on_notification(self, routes: Sequence[RouteKey]) -> None:
        """Look for deliveries that another process committed for these routes; if none is named, for any."""
        for account, name in routes:
            self.wake(account, [name])
        if not routes:
            self._poll_now = True
            self._woken.set()

    def _wait_for_ownership(self, runner: Runner) -> None:
        if self._store.shared and runner.sink_class.single_writer:
            runner.state.wait_for_ownership()

    async def stop(self, grace: float) -> None:
        """Start nothing more, let attempts end within `grace` seconds, give back the others, and close the sinks."""
        self._stopped.set()
        self._woken.set()
        if self._loop is not None:
            await asyncio.wait({self._loop})
        for _, removed in self._removals:
            removed.cancel()
        await asyncio.gather(*(runner.stop(grace) for runner in {*self.runners.values(), *self._retired}))
        await self._heartbeat.stop()

    async def change(self, gone: Iterable[RouteKey], new: Iterable[Runner], grace: float) -> None:
        """Remove routes and add others. One that is in both is replaced.

        Its old runner is stopped first, with the grace time: two sinks must not work at once, on one file for instance.
        """
        keys = frozenset(gone)
        runners = list(new)
        self._add_soon(runner for runner in runners if runner.key not in keys)
        if keys:
            removed: asyncio.Future[list[Runner]] = asyncio.get_running_loop().create_future()
            self._removals.append((keys, removed))
            self._woken.set()
            retired = await removed
            await asyncio.gather(*(runner.stop(grace) for runner in retired))
            self._retired.difference_update(retired)
        self._add_soon(runner for runner in runners if runner.key in keys)

    def _add_soon(self, runners: Iterable[Runner]) -> None:
        self._additions += runners
        self._woken.set()

    async def watch(self) -> None:
        """Wait for the end of the loop. Raises GatewayError if nobody asked for it: then nothing would be delivered."""
        assert self._loop is not None
        await asyncio.wait({self._loop})
        if not self._stopped.is_set():
            raise GatewayError("the dispatcher has failed and delivers nothing more; the log tells why")

    # -- the loop

    async def _run(self) -> None:
        """Take turns until stopped. An unexpected exception ends a turn; several in a row end the loop."""
        failures = 0
        while not self._stopped.is_set():
            try:
                await self._turn()
                failures = 0
            except StoreError as error:
                log.warning("dispatch.store_failed", reason=str(error))
                await self._sleep_until_stopped(error.retry_after)
            except Exception:
                failures += 1
                log.exception("dispatch.failed", failures=failures)
                if failures >= self._tuning.failures_to_end:
                    return
                await self._sleep_until_stopped(self._tuning.after_failure)

    async def _turn(self) -> None:
        """Claim once, or wait for work."""
        self._change_routes()
        await self._poll()
        await self._throttle.give_way()
        self._ring_timers(self._now())
        claim_requests = self.admission.choose(self._now())
        if claim_requests:
            await self._claim(claim_requests)
        else:
            await self._wait_for_work()

    def _change_routes(self) -> None:
        """Remove and add routes. Only here, while nothing is being claimed."""
        for keys, removed in self._removals:
            runners = [self.runners.pop(key) for key in keys if key in self.runners]
            for runner in runners:
                runner.retire()
            self._retired.update(runners)
            if not removed.done():
                removed.set_result(runners)
        self._removals.clear()
        for runner in self._additions:
            self.runners[runner.key] = runner
            self._wait_for_ownership(runner)
            runner.open_at_start()
            self._poll_now = True  # its pause, its breaker and its backlog are in the store
        self._additions.clear()

    async def _poll(self) -> None:
        now = self._now()
        # Below 0, the clock was set back.
        if not self._poll_now and 0 <= now - self._polled_at < self._poll_after:
            return
        self._poll_now = False  # before the look: a notification during it asks for another one
        try:
            await self._follow(await self._store.read_route_states())
            due = await self._store.read_next_due(self.runners)
        except StoreError:
            self._poll_now = True
            raise
        self._polled_at = now
        # With 20,000 routes a poll takes half a second, and longer on a busy computer. Nothing is claimed meanwhile.
        rest = min(self._tuning.poll_rest * (self._now() - now), self._tuning.longest_poll_rest)
        self._poll_after = max(self._tuning.poll_interval, rest)
        for key, at in due.items():
            self._expect(self.runners[key].state, at, now)

    async def _follow(self, states: Mapping[RouteKey, RouteState]) -> None:
        for key, runner in self.runners.items():
            state = states.get(key)
            if state is None and runner.state.is_unmarked and not runner.route.broken:
                continue
            runner.state.follow(state or RouteState(*key))
            if runner.route.broken:
                await runner.state.save_breaker(self._store)

    def _expect(self, route: LiveRouteState, at: float | None, now: float) -> None:
        """Note the time from which the route has something to claim."""
        route.due = at
        if at is None:
            return
        if at <= now:
            self.admission.add(route)
        else:
            self._set_timer(at, route)

    async def _claim(self, claim_requests: Sequence[ClaimRequest]) -> None:
        now = self._now()
        runners = [self.runners[request.account, request.route] for request in claim_requests]
        for runner in runners:
            runner.state.due = None  # before the claim: a commit during it sets it again
        try:
            claim = await self._store.claim(claim_requests, now, self._lease_until(runners, now))
        except Exception:
            for runner, request in zip(runners, claim_requests, strict=True):
                self.admission.settle(runner.state, request.limit, 0)
                self.admission.mark_due(runner.state)
            raise
        claimed = group_by_route(claim.deliveries)
        unused: list[Delivery] = []
        for runner, request in zip(runners, claim_requests, strict=True):
            deliveries = claimed.get(runner.key, ())
            chosen = runner.state.choose(deliveries, now)
            self.admission.settle(runner.state, request.limit, len(chosen))
            runner.start(chosen, self.admission)
            if runner.state.due is None:
                self._expect(runner.state, claim.next_due.get(runner.key), now)
            if len(chosen) < len(deliveries):  # at most one is chosen then, and comparing deliveries is costly
                unused += [delivery for delivery in deliveries if delivery not in chosen]
        if unused:
            await self._give_back(unused)

    async def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        """End the leases of claimed deliveries that do not start."""
        try:
            await self._store.release(deliveries)
        except StoreError as error:  # they can be claimed when their leases run out
            log.warning("dispatch.leases_not_renewed", deliveries=len(deliveries), reason=str(error))
        for key in group_by_route(deliveries):
            self.admission.mark_due(self.runners[key].state)

    def _lease_until(self, runners: Iterable[Runner], now: float) -> float:
        if self._store.shared:
            return now + self._tuning.shared_lease
        return now + max(runner.timeout for runner in runners) + self._tuning.lease_margin

    # -- timers

    def _set_timer(self, at: float, route: LiveRouteState) -> None:
        """Queue the route at a time.

        Only the earliest timer of a route is kept, or the signals of a route without slots would pile timers up.
        """
        if self._timer_of.get(route, float("inf")) <= at:
            return
        self._timer_of[route] = at
        heapq.heappush(self._timers, (at, next(self._number), route))

    def _ring_timers(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            at, _, route = heapq.heappop(self._timers)
            if self._timer_of.get(route) == at:
                del self._timer_of[route]
            self.admission.add(route)

    # -- waits

    async def _wait_for_work(self) -> None:
        """Wait for the next timer, poll or turn, or until woken."""
        now = self._now()
        until = self._polled_at + self._poll_after
        if self._timers:
            until = min(until, self._timers[0][0])
        seconds = max(0.0, until - now)
        if not self.admission.waiting:
            await self._sleep_until_woken(seconds)
            return
        seconds = min(seconds, self.admission.delay(now))
        if self._throttle.traffic.rush:
            await self._sleep_until_stopped(seconds)  # each signal of the rush would wake it in vain
        else:
            await self._sleep_until_woken(seconds)

    async def _sleep_until_woken(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), min(seconds, self._tuning.poll_interval))
        self._woken.clear()

    async def _sleep_until_stopped(self, seconds: float) -> None:
        """Sleep through all wake-ups but a stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), min(seconds, self._tuning.poll_interval))


def group_by_route(deliveries: Iterable[Delivery]) -> dict[RouteKey, list[Delivery]]:
    groups: dict[RouteKey, list[Delivery]] = {}
    for delivery in deliveries:
        groups.setdefault((delivery.signal.account, delivery.route), []).append(delivery)
    return groups
