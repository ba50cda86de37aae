"""Unexpected exceptions of a sink: each fault is logged once, and the gateway's own failures end no silent loop."""

import asyncio
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.dispatch import Tuning
from gateway.dispatch.calls import describe, outcome_of
from gateway.errors import GatewayError, Permanent, RetryLater, Skip
from gateway.model import Delivery
from gateway.sink import Sink
from tests.unit.dispatch.harness import Harness, dispatching, make_route, make_sink, until

pytestmark = pytest.mark.gen_test


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Permanent("no \udc80"), "no \\udc80"),
        (Skip("\ud800\udfff"), "\\ud800\\udfff"),
        (RetryLater("good \U0001f600"), "good \U0001f600"),
        (Unprintable(), "its message can't be shown"),
    ],
)
async def test_every_message_becomes_text_that_can_be_stored(error: Exception, text: str) -> None:
    assert describe(error) == text
    assert outcome_of(error).reason.endswith(text)
    outcome_of(error).reason.encode()


@pytest.mark.parametrize("raised", [SystemExit(7), KeyboardInterrupt(), GeneratorExit(), RecursionError()])
async def test_a_message_that_raises_is_an_error_of_the_attempt(raised: BaseException) -> None:
    class RudeMessage(Exception):
        def __str__(self) -> str:
            raise raised

    assert outcome_of(RudeMessage()).reason == "RudeMessage: its message can't be shown"


async def test_a_fault_is_logged_once_and_again_after_a_success(tmp_path: Path) -> None:
    sink = make_sink()
    bug = fail_with(KeyError("nothing"))
    sink.script.extend([bug, bug, fail_with(ValueError("other")), fail_with(RetryLater("busy")), succeed, bug])
    async with dispatching(tmp_path, [(make_route(order="none", concurrency=1), sink)]) as gateway:
        with capture_logs() as logs:
            for number in range(6):
                await gateway.accept(order=str(number))
                await until(functools.partial(enough, sink.arrived, number + 1))
                await gateway.turn()
    failed = [entry for entry in logs if entry["event"] == "sink.failed"]
    assert [(entry["hook"], repr(entry["exc_info"])) for entry in failed] == [
        ("deliver", "KeyError('nothing')"),
        ("deliver", "ValueError('other')"),
        ("deliver", "KeyError('nothing')"),
    ]
    assert all(entry["log_level"] == "error" and entry["route"] == "erp" for entry in failed)


def fail_with(error: Exception) -> Callable[[Delivery], Any]:
    async def fail(delivery: Delivery) -> None:
        raise error

    return fail


async def succeed(delivery: Delivery) -> None:
    pass


async def enough(arrived: Sequence[Delivery], number: int) -> bool:
    return len(arrived) >= number


async def test_a_batchs_single_faults_are_logged_too(tmp_path: Path) -> None:
    async def answer(self: Sink, deliveries: Sequence[Delivery]) -> Sequence[Exception | None]:
        return [KeyError("nothing")] * len(deliveries)

    async with dispatching(tmp_path, [(make_route(), make_sink(batch=5, deliver_batch=answer))]) as gateway:
        with capture_logs() as logs:
            await gateway.accept()
            await until(lambda: logged(logs, "sink.failed"))
    assert next(entry for entry in logs if entry["event"] == "sink.failed")["hook"] == "deliver_batch"


async def logged(logs: Sequence[Any], event: str) -> bool:
    return any(entry["event"] == event for entry in logs)


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError(), ValueError("odd")], ids=repr)
async def test_a_sink_that_fails_while_closing_stops_in_order(tmp_path: Path, error: BaseException) -> None:
    async def fail(self: Sink) -> None:
        raise error

    async with dispatching(tmp_path, [(make_route(), make_sink(close=fail))]) as gateway:
        await gateway.accept()
        await gateway.settle("delivered")


async def test_a_sink_without_the_base_classs_init_is_recorded(tmp_path: Path) -> None:
    def init(self: Sink, options: object, context: object) -> None:
        pass

    async with dispatching(tmp_path, [(make_route(), make_sink(__init__=init))]) as gateway:
        await gateway.accept()
        await gateway.settle("delivered")


async def test_a_failing_opens_at_start_does_not_stop_the_loop(tmp_path: Path) -> None:
    def fail(options: object) -> bool:
        raise SystemExit

    async with dispatching(tmp_path, [(make_route(), make_sink(opens_at_start=fail))]) as gateway:
        await gateway.accept()
        await gateway.settle("delivered")


# -- the gateway's own loop


async def test_the_loop_goes_on_after_an_unexpected_exception(tmp_path: Path) -> None:
    async with failing_claims(tmp_path, failures=3) as gateway:
        with capture_logs() as logs:
            await gateway.accept()
            await gateway.settle("delivered")
            await until(lambda: all_slots_are_free(gateway))
        assert [entry["failures"] for entry in logs if entry["event"] == "dispatch.failed"] == [1, 2, 3]


async def all_slots_are_free(gateway: Harness) -> bool:
    return gateway.dispatcher.admission.slots.free == Tuning().slots


async def test_a_loop_that_only_fails_ends_and_says_so(tmp_path: Path) -> None:
    async with failing_claims(tmp_path, failures=1000) as gateway:
        await gateway.accept()
        with pytest.raises(GatewayError, match="delivers nothing more"):
            await gateway.dispatcher.watch()


async def test_the_watch_does_not_mind_a_stop(tmp_path: Path) -> None:
    async with dispatching(tmp_path, [(make_route(), make_sink())]) as gateway:
        watching = asyncio.create_task(gateway.dispatcher.watch())
    await watching


def failing_claims(tmp_path: Path, failures: int) -> Any:
    """Return a context with a gateway whose first claims raise an exception that nobody foresaw."""

    class Failing(Harness):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            claim, self.left = self.store.claim, failures

            async def fail(*args: Any) -> Any:
                self.left -= 1
                if self.left >= 0:
                    raise ZeroDivisionError
                return await claim(*args)

            self.store.claim = fail  # type: ignore[method-assign, assignment]

    return dispatching(tmp_path, [(make_route(), make_sink())], tuning=Tuning(after_failure=0.0), harness=Failing)
