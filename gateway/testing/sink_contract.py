"""The contract of a sink, as tests that pytest collects from a subclass. plugins/README.md explains it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from gateway import signal_types
from gateway.errors import SinkError
from gateway.logs import MIN_SECRET_LENGTH, spellings
from gateway.model import Kind, Outcome, SecretValue
from gateway.sink import Check, Sink
from gateway.testing import samples
from gateway.testing.event_loop import FastForwardLoop
from gateway.testing.hooks import SUCCESSES, as_text, next_attempt
from gateway.testing.lookup_contract import LookupContract, try_to_ask
from gateway.testing.odd_signals import ODD_SIGNALS
from gateway.testing.options_contract import OptionsContract
from gateway.testing.repeat_contract import RepeatContract
from gateway.testing.rig import Rig
from gateway.testing.target import DoesNotApply, Target
from gateway.testing.verdict import expect

REQUESTED_WAIT = 37
"""Wait that a busy target asks for (s); unlike any default wait, so that a match proves that the sink read it."""

LONGEST_BLOCK = 0.1
"""Seconds without an await from which a sink is said to block the event loop; the gateway names it then, too."""

SetState = Callable[[Target], Awaitable[None]]


class SinkContract(OptionsContract, LookupContract, RepeatContract):
    """The tests of any sink. Subclass it as `Test…` with `sink` and `make_target`; pytest collects the tests."""

    # -- delivering

    def test_it_delivers(self) -> None:
        async def body() -> None:
            for delivery in self.deliveries():
                async with self.rig() as rig:
                    await self.expect_delivered(rig, delivery)
                    expect(
                        bool(rig.target.effects()),
                        f"{delivery.signal.type} was delivered, but the target shows no effect",
                    )

        self.run(body)

    def test_odd_signals_raise_only_sink_errors(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                every = [samples.make_delivery(name) for name in signal_types.NAMES]
                odd = [samples.make_delivery(**fields) for fields in ODD_SIGNALS]
                for delivery in [*every, *odd]:
                    (outcome,) = await rig.deliver(delivery)
                    kind = delivery.signal.type[:30]
                    expect(
                        outcome.kind is not Kind.MISCONFIGURED,
                        f"{kind} must not make the route misconfigured: {as_text(outcome)}",
                    )
                for error in rig.errors:
                    expect(isinstance(error, SinkError), f"a signal made the sink raise an unexpected error: {error!r}")

        self.run(body)

    def test_a_batch_has_an_answer_for_each_delivery(self) -> None:
        async def body() -> None:
            if self.sink.batch == 1:
                raise DoesNotApply("the sink takes one delivery at a time")
            many = [samples.make_delivery(order=str(n)) for n in range(min(self.sink.batch, 20))]
            async with self.rig() as rig:
                outcomes = await rig.deliver(*many, many[0])
                expect(
                    all(o.kind in SUCCESSES for o in outcomes),
                    f"a batch was not delivered: {as_text(outcomes[0])}",
                )
                twice = rig.target.effects()
            async with self.rig() as rig:
                await rig.deliver(*many)
                self.expect_same(twice, rig.target.effects(), "after a batch that contains a delivery twice,")

        self.run(body)

    # -- trouble

    def test_a_busy_target_is_retried(self) -> None:
        self.run(lambda: self.after_trouble(lambda target: target.busy(), "busy"))

    def test_a_target_that_is_down_is_retried(self) -> None:
        self.run(lambda: self.after_trouble(lambda target: target.down(), "down"))

    def test_a_requested_wait_is_respected(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                await rig.target.busy(REQUESTED_WAIT)
                (outcome,) = await rig.deliver(self.deliveries()[0])
                kept = outcome.kind is Kind.RETRY and outcome.after is not None and outcome.after >= REQUESTED_WAIT
                expect(
                    kept,
                    f"the target asked for {REQUESTED_WAIT} s; RetryLater needs them as `after`: {as_text(outcome)}",
                )
                await rig.target.healthy()
                await self.expect_delivered(rig, next_attempt(self.deliveries()[0]))

        self.run(body)

    def test_a_hanging_target_is_abandoned_in_time(self) -> None:
        async def body() -> None:
            delivery = self.deliveries()[0]
            once = await self.deliver_once(delivery)
            async with self.rig() as rig:
                await rig.target.hanging()
                outcome = await rig.run_out(delivery)
                expect_retry(outcome or Outcome(Kind.RETRY), "a target that hangs")
                await rig.target.healthy()
                await rig.target.settle()
                await rig.wait(outcome.after or 0.0 if outcome else 0.0)
                await self.expect_delivered(rig, next_attempt(delivery))
                self.expect_same(rig.target.effects(), once, "after an attempt that ran out of time and a second one,")

        self.run(body)

    def test_a_rejected_delivery_is_permanent(self) -> None:
        self.run(lambda: self.expect_kind(lambda target: target.rejecting_deliveries(), Kind.PERMANENT))

    def test_refused_credentials_pause_the_route(self) -> None:
        self.run(lambda: self.expect_kind(lambda target: target.refusing_credentials(), Kind.MISCONFIGURED))

    async def after_trouble(self, turn: SetState, what: str) -> None:
        """Check that a delivery is retried, and that it succeeds after the target has recovered."""
        for delivery in self.deliveries():
            once = await self.deliver_once(delivery)
            async with self.rig() as rig:
                await turn(rig.target)
                (outcome,) = await rig.deliver(delivery)
                expect_retry(outcome, f"a target that is {what}")
                await rig.target.healthy()
                await rig.wait(outcome.after or 0.0)
                await self.expect_delivered(rig, next_attempt(delivery))
                self.expect_same(rig.target.effects(), once, f"after it is no longer {what},")

    async def expect_kind(self, turn: SetState, kind: Kind) -> None:
        for delivery in self.deliveries():
            async with self.rig() as rig:
                await turn(rig.target)
                (outcome,) = await rig.deliver(delivery)
                expect(
                    outcome.kind is kind,
                    f"{delivery.signal.type} must end as {kind}, but ends as {as_text(outcome)}",
                )

    # -- trouble after a first delivery, for sinks that ask the target when they open

    def test_a_busy_target_is_retried_after_a_delivery_too(self) -> None:
        self.run(lambda: self.after_a_delivery(lambda target: target.busy(), Kind.RETRY, "busy"))

    def test_a_target_that_goes_down_is_retried_after_a_delivery_too(self) -> None:
        self.run(lambda: self.after_a_delivery(lambda target: target.down(), Kind.RETRY, "down"))

    def test_credentials_that_are_refused_after_a_delivery_are_told(self) -> None:
        refuse: SetState = lambda target: target.refusing_credentials()  # noqa: E731
        self.run(lambda: self.after_a_delivery(refuse, Kind.MISCONFIGURED, "refusing the credentials"))

    async def after_a_delivery(self, turn: SetState, kind: Kind, what: str) -> None:
        """Check the outcome of a delivery in trouble that begins after a first delivery, and the effects of both."""
        for delivery in self.deliveries():
            first = samples.make_earlier(delivery)
            async with self.rig() as rig:
                for each in (first, delivery):
                    await self.expect_delivered(rig, each)
                both = rig.target.effects()
            async with self.rig() as rig:
                await self.expect_delivered(rig, first)
                await turn(rig.target)
                (outcome,) = await rig.deliver(delivery)
                told = f"after a first delivery, {delivery.signal.type} to a target that is {what} must end as {kind}"
                expect(outcome.kind is kind, f"{told}, but ends as {as_text(outcome)}")
                await rig.target.healthy()
                await rig.wait(outcome.after or 0.0)
                await self.expect_delivered(rig, next_attempt(delivery))
                self.expect_same(rig.target.effects(), both, f"after a target that was {what} is well again,")

    # -- the event loop

    def test_it_does_not_block_the_event_loop(self) -> None:
        async def body() -> None:
            blocks = []
            for _ in range(5):  # the computer may be busy, or a module be imported
                blocks.append(await self.find_longest_block())
                if blocks[-1] < LONGEST_BLOCK:
                    return
            expect(
                False,
                f"the sink blocks the event loop for {min(blocks):.2f} s: all senders wait meanwhile. Run blocking "
                "calls in a thread, by asyncio.to_thread",
            )

        self.run(body)

    async def find_longest_block(self) -> float:
        """Return the longest time (s) without an await, in a check and deliveries to a healthy and a busy target."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FastForwardLoop)
        async with self.rig() as rig:
            await loop.take_longest_block()
            await run_check(rig)
            await try_to_ask(rig, self.known_reference())
            for delivery in self.deliveries():
                await rig.deliver(delivery)
            with contextlib.suppress(DoesNotApply):
                await rig.target.busy()
                await rig.deliver(self.deliveries()[0])
            await rig.close()
            return await loop.take_longest_block()

    # -- check

    def test_check_accepts_a_healthy_target_and_changes_nothing(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                before = rig.target.effects()
                found = await run_check(rig)
                expect(found.ok, f"check must be ok with a healthy target: {found.details}")
                expect(all(isinstance(line, str) and line for line in found.details), "details must be lines of text")
                expect(rig.target.effects() == before, "check must change nothing in the target")

        self.run(body)

    def test_check_notices_a_target_that_is_down(self) -> None:
        self.run(lambda: self.expect_not_ok(lambda target: target.down(), "is down"))

    def test_check_notices_refused_credentials(self) -> None:
        self.run(lambda: self.expect_not_ok(lambda target: target.refusing_credentials(), "refuses the credentials"))

    async def expect_not_ok(self, turn: SetState, what: str) -> None:
        if self.unchecked_because:
            raise DoesNotApply(self.unchecked_because)
        async with self.rig() as rig:
            await turn(rig.target)
            found = await run_check(rig)
            expect(not found.ok, f"check must not be ok with a target that {what}")
            expect(any(found.details), f"check must say that the target {what}")

    # -- secrets

    def test_no_secret_is_shown(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                for turn in self.turns(rig.target):
                    try:
                        await turn()
                    except DoesNotApply:
                        continue
                    for delivery in self.deliveries():
                        await rig.deliver(delivery)
                    await run_check(rig)
                    await try_to_ask(rig, self.known_reference())
                    await rig.wait(3600)
                await rig.deliver(samples.make_delivery())
                expect_hidden(rig)

        self.run(body)

    def turns(self, target: Target) -> Iterator[Callable[[], Awaitable[None]]]:
        yield from (
            target.healthy,
            target.busy,
            target.rejecting_deliveries,
            target.refusing_credentials,
            target.down,
            target.healthy,
        )

    # -- the sink's life

    def test_close_ends_all_tasks(self) -> None:
        async def body() -> None:
            before = asyncio.all_tasks()
            async with self.rig() as rig:
                idle = rig.make()
                await idle.close()  # `check` is called without `open`, and so may be `close`
                await rig.deliver(self.deliveries()[0])
                await rig.close()
                await rig.target.stop()
                await rig.target.settle()
                left = asyncio.all_tasks() - before
                expect(not left, f"close must end all tasks of the sink: {left}")

        self.run(body)


def expect_retry(outcome: Outcome, what: str) -> None:
    expect(
        outcome.kind is Kind.RETRY,
        f"{what} must be retried (RetryLater), but ends as {as_text(outcome)}",
    )


async def run_check(rig: Rig) -> Check:
    """Return the result of a new instance's check. An exception counts as a failed check."""
    sink: Sink = rig.make()
    try:
        found = await sink.check()
        rig.heard.write(repr(found))
        return found
    except Exception as error:
        rig.errors.append(error)
        return Check(False, (str(error),))
    finally:
        await sink.close()


def expect_hidden(rig: Rig) -> None:
    shown = rig.shown()
    for secret in secrets(rig.options):
        for form in spellings(secret) if len(secret) >= MIN_SECRET_LENGTH else ():
            at = shown.find(form)
            around = shown[max(0, at - 300) : at + 100].replace(form, "<THE SECRET>")
            expect(at < 0, f"a log, a repr, an error or a check shows a secret option:\n{around}")


def secrets(value: Any) -> Iterator[str]:
    """Yield the texts of all secrets in options."""
    if isinstance(value, SecretValue):
        yield value.reveal()
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from secrets(inner)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            yield from secrets(inner)
