"""The part of the contract for sinks that look up orders, by a `knows` of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.errors import SinkError
from gateway.testing.hooks import ContractBase
from gateway.testing.rig import Rig, end
from gateway.testing.target import DoesNotApply, Target
from gateway.testing.verdict import expect

UNKNOWN_REFERENCES = (
    "surely no order",
    "",
    " ",
    "%",
    "_",
    "*",
    "PO\0-1001",
    "=1+1 ' \" \\ {} %s \U0001f4a5\r\n",
    "x" * 4000,
)
"""References that no order has. Some are patterns of searches, which must be taken as plain text."""


class LookupContract(ContractBase):
    """Tests of `knows`. They are skipped for a sink without one."""

    def test_it_knows_the_orders_that_the_target_has(self) -> None:
        async def body() -> None:
            async with self.asking() as rig:
                before = rig.target.effects()
                known = self.known_reference()
                expect(await ask(rig, known) is True, f"knows must be True for {known}, which the target has")
                for unknown in UNKNOWN_REFERENCES:
                    found = await ask(rig, unknown)
                    expect(found is False, f"knows must be False for {unknown[:40]!r}, but is {found!r}")
                expect(rig.target.effects() == before, "knows must change nothing in the target")

        self.run(body)

    def test_a_target_that_is_down_gives_no_answer_about_orders(self) -> None:
        self.run(lambda: self.expect_error(lambda target: target.down(), "down"))

    def test_a_busy_target_gives_no_answer_about_orders(self) -> None:
        self.run(lambda: self.expect_error(lambda target: target.busy(), "busy"))

    def test_refused_credentials_give_no_answer_about_orders(self) -> None:
        self.run(lambda: self.expect_error(lambda target: target.refusing_credentials(), "refusing the credentials"))

    async def expect_error(self, turn: Callable[[Target], Awaitable[None]], what: str) -> None:
        """Check that `knows` raises an error of the sink API, and that it works again afterwards."""
        async with self.asking() as rig:
            await turn(rig.target)
            for reference in (self.known_reference(), UNKNOWN_REFERENCES[0]):
                found = await try_to_ask(rig, reference)
                expect(found is None, f"knows must raise an error for a target that is {what}, but it is {found!r}")
            await rig.target.healthy()
            await rig.wait(3600.0)
            expect(await ask(rig, self.known_reference()) is True, f"knows must work again after a target was {what}")

    def test_a_question_to_a_hanging_target_can_be_cancelled(self) -> None:
        async def body() -> None:
            async with self.asking() as rig:
                await rig.opened()
                await rig.target.hanging()
                question = asyncio.create_task(ask(rig, self.known_reference()))
                called = asyncio.create_task(rig.target.wait_until_called())
                await asyncio.wait({question, called}, return_when=asyncio.FIRST_COMPLETED)
                question.cancel()
                called.cancel()
                await end(question)
                await rig.target.healthy()
                await rig.target.settle()
                await self.expect_delivered(rig, self.deliveries()[0])

        self.run(body)

    def asking(self) -> Rig:
        """Return a rig, if the sink looks up orders."""
        if not self.sink.looks_up_orders():
            raise DoesNotApply("the sink looks up no orders")
        return self.rig()


async def ask(rig: Rig, reference: str) -> bool | None:
    """Return the answer of the route's sink."""
    sink = await rig.opened()
    return await sink.knows(reference)


async def try_to_ask(rig: Rig, reference: str) -> bool | None:
    """Return the answer of the route's sink, None after an error of the sink API."""
    try:
        return await ask(rig, reference)
    except SinkError as error:
        rig.errors.append(error)
        return None
