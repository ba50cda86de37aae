"""What a plugin's author says of a sink to have it held to the contract."""

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
from gateway.testing.rig import Rig
from gateway.testing.steps import HurriedLoop
from gateway.testing.target import DoesNotApply, Target
from gateway.testing.verdict import expect, skip

WELL = frozenset({Kind.DELIVERED, Kind.SKIPPED})
TRIES = 4


class Base(ABC):
    """The hooks. `sink` and `make_target` are all that most plugins need."""

    sink: ClassVar[type[Sink]]
    repeats: ClassVar[str] = ""
    """Why the target can't tell that a delivery comes twice, so that what it does may be there twice. Empty where it
    can, as it should."""
    unasked: ClassVar[str] = ""
    """Why `check` can't ask the target, and so can't see that it is down. Empty where it can, as it should."""

    @abstractmethod
    def make_target(self, folder: Path) -> Target:
        """A new double of the target, not started. `folder` is empty, and gone after the test."""

    def make_sink(self, options: Mapping[str, Any], context: Context) -> Sink:
        """A new instance; to be overridden where a clock or a sleep of its own must be turned."""
        return self.sink(options, context)

    def deliveries(self) -> Sequence[Delivery]:
        """Deliveries that a healthy target takes: by default one of each type that the sink asks for."""
        types = {ITEM_SHIPPED, ITEM_ERROR, ITEM_CANCELED} if EVERY in self.sink.signals else self.sink.signals
        return [samples.make_delivery(name) for name in sorted(types)]

    # -- for the tests

    def rig(self) -> Rig:
        return Rig(self.make_target, self.make_sink, self.sink.options)

    def run(self, body: Callable[[], Awaitable[None]]) -> None:
        """Run a test's body in a loop of its own; skipped where the target has no such trouble."""
        with asyncio.Runner(loop_factory=HurriedLoop) as runner:
            try:
                runner.run(as_coroutine(body))
            except DoesNotApply as reason:
                skipped = str(reason)
            else:
                return
        skip(skipped)

    async def once(self, delivery: Delivery) -> Sequence[Any]:
        """What a target holds that was given the delivery once."""
        async with self.rig() as rig:
            await self.expect_delivered(rig, delivery)
            return rig.target.seen()

    async def expect_delivered(self, rig: Rig, delivery: Delivery) -> None:
        """Attempt it until it is delivered, waiting as long as the sink says, but not often."""
        for number in range(TRIES):
            (outcome,) = await rig.deliver(replace(delivery, attempt=delivery.attempt + number))
            if outcome.kind is not Kind.RETRY:
                break
            await rig.wait(outcome.after or 3600.0)
        expect(
            outcome.kind in WELL,
            f"a healthy target must be given {delivery.signal.type}, and the sink says: {tell(outcome)}",
        )

    def expect_same(self, found: Sequence[Any], once: Sequence[Any], what: str) -> None:
        same = found == once
        if self.repeats:
            same = all(each in once for each in found) and all(each in found for each in once)
        expect(
            same, f"{what} the target must hold what it holds after one delivery:\n  {once}\nand it holds\n  {found}"
        )


async def as_coroutine(body: Callable[[], Awaitable[None]]) -> None:
    await body()


def tell(outcome: Outcome) -> str:
    return f"{outcome.kind}: {outcome.reason}" if outcome.reason else outcome.kind.value


def again(delivery: Delivery) -> Delivery:
    """The delivery's next attempt."""
    return replace(delivery, attempt=delivery.attempt + 1)
