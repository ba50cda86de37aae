"""A dispatcher on a real store, with a clock that a test sets and sinks that follow a script."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from gateway.dispatch import Dispatcher, Runner, Throttle, Tuning
from gateway.in_flight import InFlightRequests
from gateway.metrics import Observer
from gateway.model import Delivery, Retry, Route, lane_of
from gateway.sink.api import Sink
from gateway.store import open_store
from gateway.store.contract import Settings, Store
from gateway.store.values import Filter, Target
from tests.support.factory import make_signal

START = 1_800_000_000.0


class Clock:
    """The time, in seconds since the epoch; stands still until set."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> float:
        return self.at


class Highest(random.Random):
    """Draws the upper end of every range, so that waits are known."""

    def uniform(self, a: float, b: float) -> float:
        return b


class ScriptedSink(Sink):
    """Takes every delivery, unless the next step in `script` is an exception to raise or a function to await."""

    name = "scripted"
    summary = "does as a test says"
    script: ClassVar[deque[BaseException | Callable[[Delivery], Awaitable[None]]]]
    arrived: ClassVar[list[Delivery]]
    events: ClassVar[list[str]]

    async def open(self) -> None:
        self.events.append("open")

    async def deliver(self, delivery: Delivery) -> None:
        self.arrived.append(delivery)
        step = self.script.popleft() if self.script else None
        if isinstance(step, BaseException):
            raise step
        if step is not None:
            await step(delivery)

    async def close(self) -> None:
        self.events.append("close")


def make_sink(**attributes: Any) -> type[ScriptedSink]:
    """Return a new class for a test, as class attributes hold the events of a sink."""
    own = {"script": deque(), "arrived": [], "events": [], **attributes}
    return type("OwnSink", (ScriptedSink,), own)


def make_runner(
    route: Route,
    sink: type[Sink],
    store: Any = None,
    clock: Clock | None = None,
    redact: Callable[[str], str] = str,
    throttle: Throttle | None = None,
    tuning: Tuning = Tuning(),  # noqa: B008
) -> Runner:
    return Runner(
        route,
        sink,
        store,
        now=clock or Clock(),
        rng=Highest(),
        observer=Observer(),
        redact=redact,
        throttle=throttle or Throttle(InFlightRequests(), tuning),
        tuning=tuning,
    )


class Harness:
    def __init__(
        self, store: Store, routes: Sequence[tuple[Route, type[Sink]]], redact: Callable[[str], str], tuning: Tuning
    ) -> None:
        self.clock = Clock()
        self.store = store
        self.routes = {(route.account, route.name): route for route, _ in routes}
        self.in_flight = InFlightRequests()
        throttle = Throttle(self.in_flight, tuning, self.clock)
        runners = [make_runner(route, sink, store, self.clock, redact, throttle, tuning) for route, sink in routes]
        self.dispatcher = Dispatcher(runners, store, self.clock, throttle, tuning)

    async def accept(self, account: str = "shop", order: str = "1", **fields: Any) -> int:
        """Accept a signal for every route of the account, wake the dispatcher as ingest does, and return its id."""
        received = datetime.fromtimestamp(self.clock.at, UTC)
        signal = replace(make_signal(account=account, order=order, **fields), received_at=received)
        routes = [route for (owner, _), route in self.routes.items() if owner == account]
        targets = [Target(route.name, lane_of(signal, route.order)) for route in routes]
        accepted = await self.store.accept(signal, targets, (), False)
        self.dispatcher.wake(account, [route.name for route in routes])
        return accepted.signal_id

    async def states(self) -> dict[tuple[int, str], str]:
        return {(row.signal_id, row.route): row.state for row in await self.store.list_deliveries(Filter(), 10_000)}

    async def settle(self, *states: str) -> None:
        """Wait until every delivery is in one of these states, and nothing is being delivered."""

        async def settled() -> bool:
            rows = await self.store.list_deliveries(Filter(), 10_000)
            return all(row.state in states and row.leased_until is None for row in rows)

        await until(settled)

    async def settle_some(self, delivered: int) -> None:
        """Wait until so many deliveries are delivered and no more begin."""

        async def settled() -> bool:
            rows = await self.store.list_deliveries(Filter(), 10_000)
            return sum(row.state == "delivered" for row in rows) >= delivered

        await until(settled)
        await self.turn()

    async def turn(self) -> None:
        """Give all tasks that can go on the time for it."""
        for _ in range(10):
            await self.store.check_writable()

    async def play(self, seconds: float, step: float = 10.0) -> None:
        """Let time pass, in steps in which everything that is due is done."""
        end = self.clock.at + seconds
        while self.clock.at < end:
            self.clock.at += step
            self.dispatcher.on_notification([])
            await until(self.is_idle)
            await self.store.check_writable()  # leases that are being given back
            await until(self.is_idle)

    async def is_idle(self) -> bool:
        """Return True if the loop has polled at the present time, and waits for a later one with nothing in hand."""
        loop = self.dispatcher
        return (
            loop._polled_at >= self.clock.at
            and not loop.admission.waiting
            and not loop._woken.is_set()
            and loop.admission.slots.free == loop._tuning.slots
            and not (loop._timers and loop._timers[0][0] <= self.clock.at)
        )

    def advance(self, seconds: float) -> None:
        self.clock.at += seconds
        for account, route in self.routes:
            self.dispatcher.wake(account, [route])


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition. The time limit of the test ends a wait in vain."""
    while not await condition():
        await asyncio.sleep(0.001)  # a loop that only turns would take the CPU time of the store's threads


def make_route(name: str = "erp", account: str = "shop", tenant: str = "acme", **fields: Any) -> Route:
    return replace(Route(account, tenant, name, "scripted", retry=Retry()), **fields)


@asynccontextmanager
async def dispatching(
    tmp_path: Path,
    routes: Sequence[tuple[Route, type[Sink]]],
    redact: Callable[[str], str] = str,
    start: bool = True,
    tuning: Tuning = Tuning(),  # noqa: B008
    harness: type[Harness] = Harness,
) -> AsyncIterator[Harness]:
    store = open_store(Settings(f"sqlite:///{tmp_path}/gateway.db"))
    made = harness(store, routes, redact, tuning)
    if start:
        made.dispatcher.start()
    try:
        yield made
    finally:
        await made.dispatcher.stop(grace=0)
        await store.close()


def orders_of(arrived: Sequence[Delivery]) -> list[str]:
    return [delivery.signal.order for delivery in arrived]
