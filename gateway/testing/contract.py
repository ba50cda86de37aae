"""The contract of a sink, as tests that pytest collects from a subclass. What it asks for: plugins/README.md."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from gateway import signal_types
from gateway.errors import SinkError
from gateway.logs import MIN_SECRET_LENGTH, spellings
from gateway.model import Delivery, Kind, Outcome, SecretValue
from gateway.sink import Check, Sink
from gateway.testing import samples
from gateway.testing.base import WELL, again, tell
from gateway.testing.options import OptionsContract
from gateway.testing.rig import Rig
from gateway.testing.target import DoesNotApply, Target
from gateway.testing.verdict import expect

ASKED = 37
"""Seconds that a busy target asks to wait."""

AT_THE_END = "9999-12-31T23:59:59.999999+00:00"
NAME = "<!channel> =1+1 ' \" \\ {} %s ../ \U0001f4a5 \u202e"
TEXT = f"{NAME}\x00\r\n\t"
LONG = TEXT + "x" * 4000
ODD: tuple[Mapping[str, Any], ...] = (
    {"type": "ItemInvented"},
    {"type": "=X", "order": 7, "datetime": "never", "item": {}, "cause": ["a"], "message": {"a": None}, "url": True},
    {"type": "ItemInvented", "order": None, "order_reference": None, "item": None, "item_reference": None},
    {"type": signal_types.ITEM_ERROR, "order_reference": NAME, "cause": LONG, "delay": TEXT},
    {"type": signal_types.ITEM_SHIPPED, "item_reference": NAME, "tracking": TEXT, "shipping_option": TEXT, "url": TEXT},
    {
        "type": signal_types.ITEM_CANCELED,
        "order": NAME,
        "cause": TEXT,
        "message": LONG,
        "datetime": AT_THE_END,
    },
    {"type": signal_types.ORDER_CANCELED, "order_reference": "x" * 255, "cause": "190", "message": "\ud7ff\ufffe"},
)
"""Fields of signals that the gateway accepts and nobody expects."""

Turn = Callable[[Target], Awaitable[None]]


class SinkContract(OptionsContract):
    """Subclass it as `Test…`, with `sink` and `make_target`; pytest does the rest."""

    # -- delivering

    def test_it_delivers(self) -> None:
        async def body() -> None:
            for delivery in self.deliveries():
                async with self.rig() as rig:
                    await self.expect_delivered(rig, delivery)
                    expect(bool(rig.target.seen()), f"{delivery.signal.type} was delivered, and the target saw nothing")

        self.run(body)

    def test_whatever_the_gateway_accepts_is_answered(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                every = [samples.make_delivery(name) for name in signal_types.TYPES]
                odd = [samples.make_delivery(**fields) for fields in ODD]
                for delivery in [*every, *odd]:
                    (outcome,) = await rig.deliver(delivery)
                    kind = delivery.signal.type[:30]
                    expect(outcome.kind is not Kind.MISCONFIGURED, f"{kind} must not pause the route: {tell(outcome)}")
                for error in rig.errors:
                    expect(isinstance(error, SinkError), f"a signal must not surprise the sink: {error!r}")

        self.run(body)

    def test_a_batch_is_answered_one_for_one(self) -> None:
        async def body() -> None:
            if self.sink.batch == 1:
                raise DoesNotApply("it takes one delivery at a time")
            many = [samples.make_delivery(order=str(n)) for n in range(min(self.sink.batch, 20))]
            async with self.rig() as rig:
                outcomes = await rig.deliver(*many, many[0])
                expect(all(o.kind in WELL for o in outcomes), f"a batch was not taken: {tell(outcomes[0])}")
                twice = rig.target.seen()
            async with self.rig() as rig:
                await rig.deliver(*many)
                self.expect_same(twice, rig.target.seen(), "after a batch that holds a delivery twice,")

        self.run(body)

    # -- trouble

    def test_a_busy_target_is_tried_again(self) -> None:
        self.run(lambda: self.after_trouble(lambda target: target.busy(), "busy"))

    def test_a_target_that_is_down_is_tried_again(self) -> None:
        self.run(lambda: self.after_trouble(lambda target: target.down(), "down"))

    def test_the_wait_that_a_target_asks_for_is_kept(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                await rig.target.busy(ASKED)
                (outcome,) = await rig.deliver(self.deliveries()[0])
                kept = outcome.kind is Kind.RETRY and outcome.after is not None and outcome.after >= ASKED
                expect(kept, f"a wait of {ASKED} s was asked for; RetryLater must say so by `after`: {tell(outcome)}")
                await rig.target.healthy()
                await self.expect_delivered(rig, again(self.deliveries()[0]))

        self.run(body)

    def test_a_target_that_hangs_is_left_in_time(self) -> None:
        async def body() -> None:
            delivery = self.deliveries()[0]
            once = await self.once(delivery)
            async with self.rig() as rig:
                await rig.target.hanging()
                outcome = await rig.run_out(delivery)
                expect_retry(outcome or Outcome(Kind.RETRY), "a target that hangs")
                await rig.target.healthy()
                await rig.target.settle()
                await rig.wait(outcome.after or 0.0 if outcome else 0.0)
                await self.expect_delivered(rig, again(delivery))
                self.expect_same(rig.target.seen(), once, "after an attempt that ran out of time, and a second one,")

        self.run(body)

    def test_what_the_target_never_takes_is_given_up(self) -> None:
        self.run(lambda: self.expect_kind(lambda target: target.rejecting(), Kind.PERMANENT))

    def test_refused_credentials_pause_the_route(self) -> None:
        self.run(lambda: self.expect_kind(lambda target: target.refusing(), Kind.MISCONFIGURED))

    async def after_trouble(self, turn: Turn, what: str) -> None:
        """The delivery is retried, and all is well once the trouble is over."""
        for delivery in self.deliveries():
            once = await self.once(delivery)
            async with self.rig() as rig:
                await turn(rig.target)
                (outcome,) = await rig.deliver(delivery)
                expect_retry(outcome, f"a target that is {what}")
                await rig.target.healthy()
                await rig.wait(outcome.after or 0.0)
                await self.expect_delivered(rig, again(delivery))
                self.expect_same(rig.target.seen(), once, f"once it is no longer {what},")

    async def expect_kind(self, turn: Turn, kind: Kind) -> None:
        for delivery in self.deliveries():
            async with self.rig() as rig:
                await turn(rig.target)
                (outcome,) = await rig.deliver(delivery)
                expect(outcome.kind is kind, f"{delivery.signal.type} must end as {kind}, and ends as {tell(outcome)}")

    # -- the same delivery again

    def test_a_delivery_that_comes_twice_acts_once(self) -> None:
        self.run(lambda: self.twice(keep=True, restart=False))

    def test_it_acts_once_over_a_restart(self) -> None:
        self.run(lambda: self.twice(keep=True, restart=True))

    def test_it_acts_once_where_a_crash_forgot_the_result(self) -> None:
        self.run(lambda: self.twice(keep=False, restart=True))

    async def twice(self, keep: bool, restart: bool) -> None:
        for delivery in self.deliveries():
            once = await self.once(delivery)
            async with self.rig() as rig:
                (outcome,) = await rig.attempt([delivery])
                expect(outcome.kind in WELL, f"{delivery.signal.type} was not taken: {tell(outcome)}")
                if keep:
                    rig.commit()
                if restart:
                    await rig.restart()
                await self.expect_delivered(rig, again(delivery))
                self.expect_same(rig.target.seen(), once, f"when {delivery.signal.type} comes twice,")

    def test_an_attempt_may_be_cancelled_anywhere(self) -> None:
        self.run(lambda: self.cancelled_everywhere(restart=False))

    def test_the_process_may_end_anywhere(self) -> None:
        self.run(lambda: self.cancelled_everywhere(restart=True))

    async def cancelled_everywhere(self, restart: bool) -> None:
        """Cancel at each await in turn, when it has only begun and when it has ended; then deliver again."""
        for delivery in self.deliveries():
            once = await self.once(delivery)
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
            await self.expect_delivered(rig, again(delivery))
            when = "when that had ended" if late else "when that had begun"
            told = f"after {delivery.signal.type} was cancelled at its await {at}, {when}, and delivered again,"
            self.expect_same(rig.target.seen(), once, told)
        return True

    # -- check

    def test_check_finds_a_healthy_target_and_changes_nothing(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                before = rig.target.seen()
                found = await asked(rig)
                expect(found.ok, f"check must be ok with a healthy target: {found.details}")
                expect(all(isinstance(line, str) and line for line in found.details), "details are lines of text")
                expect(rig.target.seen() == before, "check must change nothing in the target")

        self.run(body)

    def test_check_sees_that_a_target_is_down(self) -> None:
        self.run(lambda: self.expect_not_ok(lambda target: target.down(), "is down"))

    def test_check_sees_that_credentials_are_refused(self) -> None:
        self.run(lambda: self.expect_not_ok(lambda target: target.refusing(), "refuses the credentials"))

    async def expect_not_ok(self, turn: Turn, what: str) -> None:
        if self.unasked:
            raise DoesNotApply(self.unasked)
        async with self.rig() as rig:
            await turn(rig.target)
            found = await asked(rig)
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
                    await asked(rig)
                    await rig.wait(3600)
                await rig.deliver(samples.make_delivery())
                expect_hidden(rig)

        self.run(body)

    def turns(self, target: Target) -> Iterator[Callable[[], Awaitable[None]]]:
        yield from (target.healthy, target.busy, target.rejecting, target.refusing, target.down, target.healthy)

    # -- the sink's life

    def test_it_leaves_nothing_behind(self) -> None:
        async def body() -> None:
            before = asyncio.all_tasks()
            async with self.rig() as rig:
                idle = rig.make()
                await idle.close()  # `check` does without `open`, and so may `close`
                await rig.deliver(self.deliveries()[0])
                await rig.close()
                await rig.target.stop()
                await rig.target.settle()
                left = asyncio.all_tasks() - before
                expect(not left, f"close must end what the sink began: {left}")

        self.run(body)


def expect_retry(outcome: Outcome, what: str) -> None:
    expect(outcome.kind is Kind.RETRY, f"{what} must be tried again later (RetryLater), and ends as {tell(outcome)}")


async def asked(rig: Rig) -> Check:
    """What a new instance's check finds; one that raises could not deliver, too."""
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
            expect(at < 0, f"a secret option is shown in a log, a repr, an error or a check:\n{around}")


def secrets(value: Any) -> Iterator[str]:
    """The texts of all secrets in options."""
    if isinstance(value, SecretValue):
        yield value.reveal()
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from secrets(inner)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            yield from secrets(inner)
