"""The part of the contract on repeated deliveries: after a success, a crash, a cancellation or a restart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.model import Delivery
from gateway.testing.hooks import SUCCESSES, ContractBase, as_text, next_attempt
from gateway.testing.verdict import expect


class RepeatContract(ContractBase):
    """Tests that a delivery which comes again acts once."""

    def test_a_repeated_delivery_acts_once(self) -> None:
        self.run(lambda: self.twice(keep=True, restart=False))

    def test_it_acts_once_over_a_restart(self) -> None:
        self.run(lambda: self.twice(keep=True, restart=True))

    def test_it_acts_once_if_a_crash_loses_the_result(self) -> None:
        self.run(lambda: self.twice(keep=False, restart=True))

    async def twice(self, keep: bool, restart: bool) -> None:
        for delivery in self.deliveries():
            once = await self.deliver_once(delivery)
            async with self.rig() as rig:
                (outcome,) = await rig.attempt([delivery])
                expect(outcome.kind in SUCCESSES, f"{delivery.signal.type} was not delivered: {as_text(outcome)}")
                if keep:
                    rig.commit()
                if restart:
                    await rig.restart()
                await self.expect_delivered(rig, next_attempt(delivery))
                self.expect_same(rig.target.effects(), once, f"when {delivery.signal.type} comes twice,")

    def test_an_attempt_may_be_cancelled_at_any_await(self) -> None:
        self.run(lambda: self.cancelled_everywhere(restart=False))

    def test_the_process_may_end_at_any_await(self) -> None:
        self.run(lambda: self.cancelled_everywhere(restart=True))

    async def cancelled_everywhere(self, restart: bool) -> None:
        """Cancel attempts at each await in turn, both when it begins and when it ends; then deliver again."""
        for delivery in self.deliveries():
            once = await self.deliver_once(delivery)
            for late in (False, True):
                at = 1
                while await self.cancelled_at(delivery, at, late, restart, once):
                    at += 1

    async def cancelled_at(self, delivery: Delivery, at: int, late: bool, restart: bool, once: Sequence[Any]) -> bool:
        async with self.rig() as rig:
            if not await rig.interrupt(delivery, at, late):
                return False
            if restart:
                await rig.restart()
            else:
                rig.commit()
            await self.expect_delivered(rig, next_attempt(delivery))
            when = "when it had ended" if late else "when it had begun"
            moment = f"after {delivery.signal.type} was cancelled at its await {at}, {when}, and delivered again,"
            self.expect_same(rig.target.effects(), once, moment)
        return True
