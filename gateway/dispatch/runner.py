"""One route at work: its sink, its breaker, its rate, and the attempts that run."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

import structlog

from gateway import policy
from gateway.dispatch.calls import CANCEL_WITHIN, batch_outcomes, open_sink, outcome_of, quietly
from gateway.errors import StoreError
from gateway.metrics import Observer
from gateway.model import Attempt, Decision, Delivery, Kind, Outcome, RetryAt, Route
from gateway.senders import Senders
from gateway.sink.api import Context, Shared, Sink, State
from gateway.store.contract import Store
from gateway.store.values import Result, RouteState
from gateway.token_bucket import TokenBucket

log = structlog.get_logger()

REASON_LENGTH = 500
JUDGED = 5
"""Results judged in one go, about a tenth of a millisecond's work: a sender must not wait for a whole batch of them."""
QUIET = frozenset({Kind.DELIVERED, Kind.SKIPPED, Kind.RELEASED})
"""Outcomes that nobody need look at."""
NEVER = float("-inf")
REPLAY_SHARE = 0.25
"""Of what a route may have in hand, how much may be replays: live signals always find the rest free of them."""


class Watch(Protocol):
    """Is told of each attempt: that the sink is called, that it has answered, and that this is recorded."""

    def called(self, runner: Runner) -> None: ...
    def answered(self, runner: Runner) -> None: ...
    def finished(self, runner: Runner, deliveries: int) -> None: ...


class Runner:
    """Runs a route's attempts. `due` is a hint: when its next delivery can be claimed, None if nothing waits."""

    def __init__(
        self,
        route: Route,
        sink_class: type[Sink],
        store: Store,
        *,
        now: Callable[[], float],
        rng: random.Random,
        observer: Observer,
        redact: Callable[[str], str],
        senders: Senders,
        shared: Shared | None = None,
    ) -> None:
        self.route = route
        self.sink_class = sink_class
        self.breaker = policy.Breaker()
        self.paused = False
        self.due: float | None = None
        self.running = 0
        self.replaying = 0
        self._store = store
        self._now = now
        self._rng = rng
        self._observer = observer
        self._redact = redact
        self._senders = senders
        self._shared = shared or Shared()
        self._rate = TokenBucket(route.rate) if route.rate else None
        self._sink: Sink | None = None
        self._opening = asyncio.Lock()
        self._calls: set[asyncio.Task[Any]] = set()
        self._attempts: set[asyncio.Task[None]] = set()
        self._retired = False
        self._batches: dict[int, Sequence[Delivery]] = {}
        self.held_until = float("inf")
        """Until when this gateway may work on the route; NEVER where it waits for that."""
        self._stopping = False
        self._log: Any = log.bind(**route.log_context())
        self._kept: policy.Breaker | None = None
        self._told: policy.Status | None = None

    @property
    def tenant(self) -> str:
        return self.route.tenant

    @property
    def key(self) -> tuple[str, str]:
        return self.route.account, self.route.name

    @property
    def timeout(self) -> float:
        return self.sink_class.timeout

    @property
    def followed(self) -> bool:
        """Whether it knows what the store remembers of its route."""
        return self._kept is not None

    # -- room

    def slots(self, now: float) -> int:
        """How many more deliveries may be claimed now."""
        if self.paused or self._retired or now >= self.held_until:
            return 0
        calls = self.breaker.slots(self.route.concurrency, self.running, now)
        room = calls if not self.breaker.closed else calls * self.sink_class.batch
        return min(room, int(self._rate.available(now))) if self._rate else room

    def replay_slots(self) -> int:
        """How many more of the deliveries in hand may be replays."""
        most = max(1, int(self.route.concurrency * self.sink_class.batch * REPLAY_SHARE))
        return max(0, most - self.replaying)

    def opens_at(self, now: float) -> float | None:
        """When there may be room again by itself; None if an attempt must end for it, or the route be resumed."""
        if self.paused or self._retired:
            return None
        if not self.breaker.closed and now < self.breaker.probe_at:
            return self.breaker.probe_at
        if self._rate and self._rate.available(now) < 1:
            return now + self._rate.wait(now)
        return None

    async def let_go(self) -> None:
        """Another gateway works on the route now: let go of the sink, which must not go on from what it remembers. The
        next one, should the route come back, reads its state anew."""
        self.held_until = NEVER
        if not self.running:
            await self._close()

    # -- state

    def follow(self, state: RouteState) -> None:
        """Take over what the store remembers: whether people paused the route and, at the start, the breaker."""
        if not self.followed:
            kept = policy.Breaker.from_state(state)
            self._kept = self.breaker = policy.after_restart(kept, self.route.retry, self._now())
        if state.paused != self.paused:
            self.paused = state.paused
            event = "route.paused" if state.paused else "route.resumed"
            self._log.info(event, **({"why": state.why} if state.why else {}))
        self._tell_state()

    def _tell_state(self) -> None:
        status = self.breaker.status(self.paused)
        if status is not self._told:
            self._told = status
            self._observer.route_state(*self.key, self.route.sink, status)

    def _turn_breaker(self, outcome: Outcome, now: float) -> None:
        before = self.breaker
        self.breaker = policy.after_outcome(before, outcome, self.route.retry, now, self._rng)
        if self.breaker.closed and not before.closed:
            self._log.info("route.closed")
        elif not self.breaker.closed and self.breaker.probe_at != before.probe_at:
            event = "route.misconfigured" if self.breaker.misconfigured else "route.opened"
            probe = round(self.breaker.probe_at - now, 1)
            self._log.error(event, reason=self.breaker.reason, probe_in=probe)
        self._tell_state()

    async def _keep_breaker(self) -> None:
        """Have the store remember the breaker, where it opened, put its probe off or closed."""
        breaker, kept = self.breaker, self._kept or policy.Breaker()
        if breaker == kept or (breaker.closed and kept.closed):
            return
        self._kept = breaker  # before the wait, so that attempts that end together save it once
        try:
            await self._store.save_route_state(RouteState(*self.key, **asdict(breaker)))
        except StoreError as error:
            self._kept = kept
            self._log.warning("route.state_not_saved", reason=str(error))

    # -- attempts

    def open_early(self) -> None:
        """Open the sink, where it has work of its own to do."""
        if self.held_until != NEVER and self.sink_class.opens_at_start(self.route.options):
            task = asyncio.create_task(self._open_early())
            for tasks in (self._attempts, self._calls):
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    async def _open_early(self) -> None:
        try:
            await self._opened()
        except Exception as error:  # the first delivery meets it again, and is answerable for it
            self._log.warning("route.not_opened", reason=self._redact(str(error)))

    def start(self, deliveries: Sequence[Delivery], watch: Watch) -> None:
        """Run an attempt of each delivery, as the sink takes them: one by one, or in batches."""
        size = self.sink_class.batch
        if self._rate:
            self._rate.take(self._now(), len(deliveries))
        batches = [deliveries[i : i + size] for i in range(0, len(deliveries), size)]
        self.running += len(batches)
        self.replaying += count_replays(deliveries)
        for batch in batches:
            task = asyncio.create_task(self._attempt(batch, watch))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)

    def in_hand(self) -> list[Delivery]:
        """What runs, or waits to be recorded."""
        return [delivery for batch in self._batches.values() for delivery in batch]

    async def _attempt(self, deliveries: Sequence[Delivery], watch: Watch) -> None:
        started = self._now()
        self._batches[id(deliveries)] = deliveries
        try:
            watch.called(self)
            outcomes = await self._outcomes(deliveries)
            watch.answered(self)
            ended = self._now()
            await self._senders.lull()
            results = await self._judge_all(deliveries, outcomes, started, ended)
            await self._senders.lull()
            await self._record(results)
            await self._keep_breaker()
        except Exception:
            # Nothing here should raise; if it does, the lease runs out and the deliveries come again.
            self._log.exception("delivery.lost_track")
        finally:
            del self._batches[id(deliveries)]
            self.running -= 1
            self.replaying -= count_replays(deliveries)
            watch.finished(self, len(deliveries))
        if self.held_until == NEVER:
            await self.let_go()

    async def _outcomes(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        """What the sink makes of the deliveries, within its time. Never raises."""
        call = asyncio.create_task(self._call(deliveries))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        done, _ = await asyncio.wait({call}, timeout=self.timeout)
        if done and not call.cancelled():
            return call.result()
        if not done:
            call.cancel()
            await asyncio.wait({call}, timeout=CANCEL_WITHIN)
        if self._stopping:
            return [Outcome(Kind.RELEASED)] * len(deliveries)
        reason = "the sink cancelled itself" if done else f"no result within {self.timeout:g} s"
        return [Outcome(Kind.RETRY, reason)] * len(deliveries)

    async def _call(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        try:
            sink = await self._opened()
            if self.sink_class.batch == 1:
                await sink.deliver(deliveries[0])
                return [Outcome(Kind.DELIVERED)]
            return batch_outcomes(await sink.deliver_batch(deliveries), len(deliveries))
        except Exception as error:
            return [outcome_of(error)] * len(deliveries)

    async def _opened(self) -> Sink:
        async with self._opening:
            if self._sink is None:
                self._sink = await open_sink(await self.make_sink(), self.route)
            return self._sink

    async def make_sink(self) -> Sink:
        """A sink of this route with its state, not opened."""
        state = State(await self._store.read_sink_state(*self.key))
        context = Context(
            account=self.route.account,
            tenant=self.route.tenant,
            route=self.route.name,
            state=state,
            log=self._log,
            now=self._now,
            shared=self._shared,
        )
        return self.sink_class(self.route.options, context)

    # -- results

    async def _judge_all(
        self, deliveries: Sequence[Delivery], outcomes: Sequence[Outcome], started: float, ended: float
    ) -> list[Result]:
        results = []
        for place, (delivery, outcome) in enumerate(zip(deliveries, outcomes, strict=True), 1):
            results.append(self._judge(delivery, outcome, started, ended))
            if not place % JUDGED:
                await asyncio.sleep(0)
        return results

    def _judge(self, delivery: Delivery, outcome: Outcome, started: float, ended: float) -> Result:
        if outcome.reason:
            outcome = replace(outcome, reason=self._redact(outcome.reason)[:REASON_LENGTH])
        decision = policy.decide(delivery, outcome, self.route.retry, ended, self._rng)
        self._turn_breaker(outcome, ended)
        attempt = None
        if outcome.kind not in (Kind.DELIVERED, Kind.RELEASED):
            attempt = Attempt(delivery.attempt, started, ended - started, outcome.kind, outcome.reason)
        self._tell(delivery, outcome, ended - started, decision)
        return Result(delivery, decision, attempt, ended)

    def _tell(self, delivery: Delivery, outcome: Outcome, seconds: float, decision: Decision) -> None:
        context: dict[str, object] = {**delivery.log_context(), "outcome": outcome.kind.value}
        if outcome.reason:
            context["reason"] = outcome.reason
        if isinstance(decision, RetryAt) and decision.counted:
            context["retry_in"] = round(decision.at - self._now(), 1)
        say = self._log.info if outcome.kind in QUIET else self._log.warning
        say("delivery.attempted", **context, ms=round(seconds * 1000, 1))
        self._observer.delivery_attempted(*self.key, self.route.sink, outcome.kind.value, seconds)

    async def _record(self, results: Sequence[Result]) -> None:
        """Save results, and keep at it while the store is away: what was delivered must not come again."""
        sink = self._sink
        changes = {self.key: sink.state.take_changes()} if sink else {}
        wait = 0.1
        while True:
            try:
                taken = await self._store.record(results, changes)
                break
            except StoreError as error:
                if self._stopping:
                    self._log.error("delivery.unrecorded", deliveries=len(results))
                    return
                self._log.warning("delivery.record_failed", reason=str(error))
                await asyncio.sleep(wait)
                wait = min(wait * 2, 5.0)
        if sink:
            sink.state.confirm(changes[self.key])
        if taken < len(results):
            self._log.warning("delivery.lease_lost", results=len(results) - taken)

    # -- the end

    def retire(self) -> None:
        """Start nothing more."""
        self._retired = True

    async def end(self, grace: float) -> None:
        """Start nothing more; let what runs end within `grace` seconds, then give it back, which is no failure; close
        the sink."""
        self.retire()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=grace)
        self._stopping = True
        for call in self._calls:
            call.cancel()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=2 * CANCEL_WITHIN)
        await self._close()
        if self._told is not None:
            self._told = None
            self._observer.route_gone(*self.key, self.route.sink)

    async def _close(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            await quietly(sink.close(), self.route)


def count_replays(deliveries: Iterable[Delivery]) -> int:
    return sum(delivery.replayed for delivery in deliveries)
