"""The hooks by which a plugin's author describes a sink to the contract."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from gateway.model import EVERY, Delivery, Kind, Outcome
from gateway.signal_types import ITEM_CANCELED, ITEM_ERROR, ITEM_SHIPPED
from gateway.sink import Context, Sink
from gateway.testing import samples
from gateway.testing.event_loop import FastForwardLoop
from gateway.testing.rig import Rig
from gateway.testing.target import DoesNotApply, Target
from gateway.testing.verdict import expect, skip

SUCCESSES = frozenset({Kind.DELIVERED, Kind.SKIPPED})
MAX_TRIES = 4
"""Attempts after which a healthy target must have taken a delivery."""


class ContractBase(ABC):
    """The hooks. Most plugins need only `sink` and `make_target`."""

    sink: ClassVar[type[Sink]]
    duplicates_because: ClassVar[str] = ""
    """The reason why the target can't recognise a repeated delivery, so that it acts twice. Empty if it can."""
    unchecked_because: ClassVar[str] = ""
    """The reason why `check` can't ask the target, and so does not notice that it is down. Empty if it can."""

    @abstractmethod
    def make_target(self, folder: Path) -> Target:
        """Return a new double of the target, not started. `folder` is an empty directory, removed after the test."""

    def make_sink(self, options: Mapping[str, Any], context: Context) -> Sink:
        """Return a new instance. Override it to replace a clock or a sleep of the sink."""
        return self.sink(options, context)

    def deliveries(self) -> Sequence[Delivery]:
        """Return deliveries that a healthy target takes: by default one of each type in the sink's `signals`."""
        types = {ITEM_SHIPPED, ITEM_ERROR, ITEM_CANCELED} if EVERY in self.sink.signals else self.sink.signals
        return [samples.make_delivery(name) for name in sorted(types)]

    def known_reference(self) -> str:
        """Return the reference of an order that a healthy target has, for `knows`: by default the deliveries' own."""
        return self.deliveries()[0].signal.order_reference

    # -- for the tests

    def rig(self) -> Rig:
        return Rig(self.make_target, self.make_sink, self.sink.options)

    def run(self, body: Callable[[], Awaitable[None]]) -> None:
        """Run a test's body in a new event loop. Skip the test if the target can't have the state that it needs."""
        with asyncio.Runner(loop_factory=FastForwardLoop) as runner:
            try:
                runner.run(as_coroutine(body))
            except DoesNotApply as reason:
                skipped = str(reason)
            else:
                return
        skip(skipped)

    async def deliver_once(self, delivery: Delivery) -> Sequence[Any]:
        """Return the effects on a target of one delivery."""
        async with self.rig() as rig:
            await self.expect_delivered(rig, delivery)
            return rig.target.effects()

    async def expect_delivered(self, rig: Rig, delivery: Delivery) -> None:
        """Attempt a delivery until it is taken, with the waits that the sink asks for, at most MAX_TRIES times."""
        for number in range(MAX_TRIES):
            (outcome,) = await rig.deliver(replace(delivery, attempt=delivery.attempt + number))
            if outcome.kind is not Kind.RETRY:
                break
            await rig.wait(outcome.after or 3600.0)
        expect(
            outcome.kind in SUCCESSES,
            f"a healthy target must get {delivery.signal.type}, but the outcome is {as_text(outcome)}",
        )

    def expect_same(self, found: Sequence[Any], once: Sequence[Any], what: str) -> None:
        same = found == once
        if self.duplicates_because:
            same = all(each in once for each in found) and all(each in found for each in once)
        expect(same, f"{what} the target must show the effects of one delivery:\n  {once}\nbut it shows\n  {found}")


async def as_coroutine(body: Callable[[], Awaitable[None]]) -> None:
    await body()


def as_text(outcome: Outcome) -> str:
    return f"{outcome.kind}: {outcome.reason}" if outcome.reason else outcome.kind.value


def next_attempt(delivery: Delivery) -> Delivery:
    """Return the delivery as of its next attempt."""
    return replace(delivery, attempt=delivery.attempt + 1)
