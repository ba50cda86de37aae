"""A route's attempts: call the sink, judge its answers, record the results."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from gateway import policy
from gateway.dispatch.admission import Admission
from gateway.dispatch.calls import CANCEL_WITHIN, batch_outcomes, close_sink, describe, open_sink, outcome_of
from gateway.dispatch.faults import SinkFaults
from gateway.dispatch.loop_watch import Tasks
from gateway.dispatch.questions import Questions
from gateway.dispatch.route_state import LiveRouteState, Ownership
from gateway.dispatch.throttle import Throttle
from gateway.dispatch.tuning import DEFAULT_TUNING, Tuning
from gateway.errors import RetryLater, StoreError, StoreLost
from gateway.metrics import Observer
from gateway.model import Attempt, Decision, Delivery, Kind, Outcome, RetryAt, Route, RouteKey
from gateway.sink.api import Context, Shared, Sink, State
from gateway.store.contract import Queue
from gateway.store.values import Result

log = structlog.get_logger()

MAX_REASON_LENGTH = 500
"""Characters kept of a reason. A target may answer with a long page, and its beginning says enough."""
UNWANTED = "the sink takes no signals of this type; its plugin could not be loaded when the signal came"
RECORD_WITHIN = 1.0
"""Seconds for recording the results of attempts that a stop has cancelled. If it takes longer, their leases are
released at the next start."""
QUIET_OUTCOMES = frozenset({Kind.DELIVERED, Kind.SKIPPED, Kind.RELEASED})
"""Outcomes that are logged as info; the others are warnings."""


class Runner:
    """Runs a route's attempts on its sink, which is opened for the first of them."""

    def __init__(
        self,
        route: Route,
        sink_class: type[Sink],
        store: Queue,
        *,
        now: Callable[[], float],
        rng: random.Random,
        observer: Observer,
        redact: Callable[[str], str],
        throttle: Throttle,
        shared: Shared | None = None,
        tuning: Tuning = DEFAULT_TUNING,
        tasks: Tasks | None = None,
        on_results: Callable[[Sequence[Result]], None] = lambda results: None,
    ) -> None:
        self.route = route
        self.sink_class = sink_class
        self.state = LiveRouteState(route, sink_class, now=now, rng=rng, observer=observer, tuning=tuning)
        self._store = store
        self._now = now
        self._rng = rng
        self._observer = observer
        self._on_results = on_results
        self._redact = redact
        self._throttle = throttle
        self._shared = shared or Shared()
        self._tuning = tuning
        self._sink: Sink | None = None
        self._sink_state = State()
        self._opening = asyncio.Lock()
        self._calls: set[asyncio.Task[Any]] = set()
        self._attempts: set[asyncio.Task[None]] = set()
        self._batches: dict[int, Sequence[Delivery]] = {}
        self._ending = asyncio.Event()
        self._stopping = False
        self._log: Any = log.bind(**route.log_context())
        self._faults = SinkFaults(self._log, self._watch)
        self._tasks: Tasks = {} if tasks is None else tasks
        self._questions = Questions(self._opened, self._faults)

    @property
    def key(self) -> RouteKey:
        return self.state.key

    @property
    def timeout(self) -> float:
        return self.sink_class.timeout

    # -- attempts

    def start(self, deliveries: Sequence[Delivery], admission: Admission) -> None:
        """Run an attempt of each delivery, as the sink takes them: one by one, or in batches."""
        size = self.sink_class.batch
        batches = [deliveries[i : i + size] for i in range(0, len(deliveries), size)]
        self.state.begin(len(batches), deliveries)
        for batch in batches:
            task = asyncio.create_task(self._attempt(batch, admission))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)

    def in_hand(self) -> list[Delivery]:
        """Return the deliveries that run or wait to be recorded."""
        return [delivery for batch in self._batches.values() for delivery in batch]

    async def _attempt(self, deliveries: Sequence[Delivery], admission: Admission) -> None:
        started = self._now()
        self._batches[id(deliveries)] = deliveries
        try:
            with admission.at_target(self.state):
                outcomes = await self._outcomes(deliveries)
            ended = self._now()
            await self._throttle.give_way()
            results = await self._judge_all(deliveries, outcomes, started, ended)
            await self._throttle.give_way()
            await self._record(results)
            await self.state.save_breaker(self._store)
        except Exception:
            # Nothing here should raise. If it does, the lease runs out and the deliveries are claimed again.
            self._log.exception("delivery.lost_track")
        finally:
            del self._batches[id(deliveries)]
            self.state.end(deliveries)
            admission.end(self.state, len(deliveries))
        if self.state.ownership is Ownership.WAITING:
            await self.lose_ownership()

    async def _outcomes(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        """Return the sink's outcomes of the deliveries, within its timeout."""
        call = asyncio.create_task(self._call(deliveries))
        self._watch(call)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        done, _ = await asyncio.wait({call}, timeout=self.timeout)
        if done and not call.cancelled():
            return call.result()
        if not done:
            call.cancel()
            ended, _ = await asyncio.wait({call}, timeout=CANCEL_WITHIN)
            if not ended:
                self._faults.abandon("deliver", CANCEL_WITHIN)
        if self._stopping:
            return [Outcome(Kind.RELEASED)] * len(deliveries)
        reason = "the sink cancelled itself" if done else f"no result within {self.timeout:g} s"
        return [Outcome(Kind.RETRY, reason)] * len(deliveries)

    def _watch(self, task: asyncio.Task[Any]) -> None:
        """Let the watch of the loop know that a task runs code of the sink, until it ends."""
        self._tasks[task] = self.route
        task.add_done_callback(self._tasks.__delitem__)

    async def _call(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        """Call the sink. Whatever it raises is an outcome, also what would end the process, such as SystemExit."""
        wanted = [delivery for delivery in deliveries if self._wants(delivery)]
        if len(wanted) < len(deliveries):
            answers = iter(await self._call(wanted) if wanted else ())
            skipped = Outcome(Kind.SKIPPED, UNWANTED)
            return [next(answers) if self._wants(delivery) else skipped for delivery in deliveries]
        hook = "open"
        try:
            sink = await self._opened()
            if self.sink_class.batch == 1:
                hook = "deliver"
                await sink.deliver(deliveries[0])
                return [Outcome(Kind.DELIVERED)]
            hook = "deliver_batch"
            given = await sink.deliver_batch(deliveries)
            outcomes = batch_outcomes(given, len(deliveries))
            for error in given or ():
                if error is not None:
                    self._faults.report(error, hook)
            return outcomes
        except asyncio.CancelledError:
            raise  # `_outcomes` tells the gateway's own from a sink's
        except StoreError as error:  # the sink's state could not be read
            return [Outcome(Kind.RETRY, str(error), healthy=True)] * len(deliveries)
        except BaseException as error:
            self._faults.report(error, hook)
            return [outcome_of(error)] * len(deliveries)

    def _wants(self, delivery: Delivery) -> bool:
        """Return False if the signal's type is none of the sink's own, and the route names no types.

        While a plugin could not be loaded, the types of its sink were unknown, and its routes were given all signals.
        """
        return self.route.wants(delivery.signal.type) or self.route.signals != self.sink_class.signals

    # -- results

    async def _judge_all(
        self, deliveries: Sequence[Delivery], outcomes: Sequence[Outcome], started: float, ended: float
    ) -> list[Result]:
        results = []
        alone = len(outcomes) == 1 or any(outcome.kind is not Kind.MISCONFIGURED for outcome in outcomes)
        for number, (delivery, outcome) in enumerate(zip(deliveries, outcomes, strict=True), 1):
            results.append(self._judge(delivery, outcome, started, ended, alone))
            if not number % self._tuning.judged_at_once:
                await asyncio.sleep(0)
        return results

    def _judge(self, delivery: Delivery, outcome: Outcome, started: float, ended: float, alone: bool) -> Result:
        if outcome.reason:
            outcome = replace(outcome, reason=self._redact(outcome.reason)[:MAX_REASON_LENGTH])
        own_fault = self.state.is_own_fault(delivery, outcome, alone)
        decision = policy.decide(delivery, outcome, self.route.retry, ended, self._rng, own_fault)
        self.state.turn_breaker(outcome, ended, own_fault)
        attempt = None
        if outcome.kind not in (Kind.DELIVERED, Kind.RELEASED):
            attempt = Attempt(delivery.attempt, started, ended - started, outcome.kind, outcome.reason)
        self._tell(delivery, outcome, ended - started, decision)
        if outcome.kind is Kind.DELIVERED:
            self._faults.forget()
        return Result(delivery, decision, attempt, ended)

    def _tell(self, delivery: Delivery, outcome: Outcome, seconds: float, decision: Decision) -> None:
        context: dict[str, object] = {**delivery.log_context(), "outcome": outcome.kind.value}
        if outcome.reason:
            context["reason"] = outcome.reason
        if isinstance(decision, RetryAt) and decision.counted:
            context["retry_in"] = round(decision.at - self._now(), 1)
        say = self._log.info if outcome.kind in QUIET_OUTCOMES else self._log.warning
        say("delivery.attempted", **context, ms=round(seconds * 1000, 1))
        self._observer.delivery_attempted(*self.key, self.route.sink, outcome.kind.value, seconds)

    async def _record(self, results: Sequence[Result]) -> None:
        """Save results, and try again while the store is away: a delivered signal must not be delivered again.

        A stop waits for a store that is away, but not for a file that was lost.
        """
        state = self._sink_state  # not `sink.state`, which a sink's own __init__ may leave out
        changes = {self.key: state.take_changes()} if self._sink else {}
        wait = self._tuning.first_record_wait
        while True:
            try:
                taken = await self._store.record(results, changes)
                break
            except StoreError as error:
                if self._stopping or (self._ending.is_set() and isinstance(error, StoreLost)):
                    self._log.error("delivery.unrecorded", deliveries=len(results))
                    return
                self._log.warning("delivery.record_failed", reason=str(error))
                await self._wait_for_store(wait)
                wait = min(wait * 2, self._tuning.longest_record_wait)
        if changes:
            state.confirm(changes[self.key])
        self._on_results(results)
        if taken < len(results):
            self._log.warning("delivery.lease_lost", results=len(results) - taken)

    async def _wait_for_store(self, seconds: float) -> None:
        """Wait before the next try; when a stop begins, try once more at once."""
        if self._ending.is_set():
            await asyncio.sleep(seconds)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), seconds)

    # -- the sink

    def open_at_start(self) -> None:
        """Open the sink now if it has work of its own to do, and this gateway may work on the route."""
        if self.state.ownership is Ownership.WAITING or not self._opens_at_start():
            return
        task = asyncio.create_task(self._try_to_open())
        self._watch(task)
        for tasks in (self._attempts, self._calls):
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def _opens_at_start(self) -> bool:
        try:
            return self.sink_class.opens_at_start(self.route.options)
        except BaseException as error:  # it would end the dispatcher's loop
            self._faults.report(error, "opens_at_start")
            return False

    async def _try_to_open(self) -> None:
        try:
            await self._opened()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the first delivery tries again
            self._faults.report(error, "open")
            self._log.warning("route.not_opened", reason=self._redact(describe(error)))

    async def _opened(self) -> Sink:
        async with self._opening:
            if self._sink is None:
                state = State(await self._store.read_sink_state(*self.key))
                self._sink = await open_sink(self._make_sink(state), self._faults)
                self._sink_state = state
            return self._sink

    def _make_sink(self, state: State) -> Sink:
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

    async def _close_sink(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            await close_sink(sink, self._faults)

    # -- questions

    async def knows(self, reference: str) -> bool | None:
        """Return True or False if the sink says so, None if it can't tell or the route takes no questions now.

        Raises RetryLater if the sink failed, or did not answer in time.
        """
        if not self.state.takes_questions(self._now()):
            return None
        try:
            return await self._questions.ask(reference, self._tuning.lookup_within)
        except RetryLater as error:
            raise RetryLater(self._redact(describe(error))[:MAX_REASON_LENGTH], error.after) from error

    # -- the end

    async def lose_ownership(self) -> None:
        """Start nothing more, as another gateway owns the route now. Close the sink once nothing runs.

        If this gateway owns the route again later, a new sink reads the state that the other gateway left.
        """
        self.state.wait_for_ownership()
        if not self.state.running:
            await self._close_sink()

    def retire(self) -> None:
        """Start nothing more."""
        self.state.retired = True

    async def stop(self, grace: float) -> None:
        """Retire, let attempts end within `grace` seconds, give back the others, and close the sink."""
        self.retire()
        self._ending.set()
        await self._questions.end()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=grace)
        self._stopping = True
        for call in self._calls:
            call.cancel()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=CANCEL_WITHIN + RECORD_WITHIN)
        if self._calls:
            self._faults.abandon("deliver", CANCEL_WITHIN)
        await self._close_sink()
        self.state.hide()
