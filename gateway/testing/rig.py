"""Plays the gateway in a test of a sink: validates options, makes attempts, keeps state and captures all output."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
import voluptuous as vol

from gateway.dispatch.calls import CANCEL_WITHIN, batch_outcomes, open_sink, outcome_of
from gateway.dispatch.faults import SinkFaults
from gateway.model import Delivery, Kind, Outcome
from gateway.sink import Context, Sink, State
from gateway.testing import samples
from gateway.testing.event_loop import CancelAtAwait, FastForwardLoop
from gateway.testing.target import Target
from gateway.testing.verdict import expect

MakeSink = Callable[[Mapping[str, Any], Context], Sink]

ACCOUNT, TENANT, ROUTE = "bookshop", "acme", "route"


class Rig:
    """A route with its sink and its target, started and stopped by `async with`.

    `now` is the sink's clock; only `wait` advances it. `kept` is the committed state, which a restart finds.
    """

    def __init__(self, make_target: Callable[[Path], Target], make_sink: MakeSink, schema: Mapping[Any, Any]) -> None:
        self.now = samples.NOW
        self.kept: dict[str, Any] = {}
        self.errors: list[BaseException] = []
        self.heard = io.StringIO()
        self.options: Mapping[str, Any] = {}
        self.sink: Sink | None = None
        self._make_sink = make_sink
        self._schema = schema
        self._stack = contextlib.AsyncExitStack()
        self._folder = tempfile.TemporaryDirectory(prefix="sink-")
        self.target = make_target(Path(self._folder.name))

    async def __aenter__(self) -> Self:
        self._stack.enter_context(self._folder)
        self._stack.enter_context(listening(self.heard))
        await self.target.start()
        self._stack.push_async_callback(self.target.stop)
        self._stack.push_async_callback(self.close)
        self.options = vol.Schema(dict(self._schema))(dict(self.target.options()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # -- attempts

    async def deliver(self, *deliveries: Delivery) -> Sequence[Outcome]:
        """Make an attempt and commit the sink's state with its outcome, as the gateway does."""
        outcomes = await self.attempt(deliveries)
        self.commit()
        return outcomes

    async def attempt(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        """Make an attempt and commit nothing."""
        try:
            sink = await self.opened()
            if type(sink).batch == 1:
                for delivery in deliveries:
                    await sink.deliver(delivery)
                return [Outcome(Kind.DELIVERED)] * len(deliveries)
            answers = await sink.deliver_batch(deliveries)
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:  # also SystemExit, as in the gateway
            return [self.judge(error)] * len(deliveries)
        self.errors += filter(None, answers or ())
        return batch_outcomes(answers, len(deliveries))

    def judge(self, error: BaseException) -> Outcome:
        self.errors.append(error)
        return outcome_of(error)

    async def interrupt(self, delivery: Delivery, at: int, late: bool) -> bool:
        """Cancel an attempt at its `at`-th await. Return False if it ended before."""
        steps = CancelAtAwait(self.attempt([delivery]), at, late)

        async def run() -> Sequence[Outcome]:
            return await steps

        task = asyncio.create_task(run())
        await end(task)
        await self.target.settle()
        return steps.reached

    async def run_out(self, delivery: Delivery) -> Outcome | None:
        """Make an attempt at a hanging target, and skip its time limit. Return None if it had to be cancelled."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FastForwardLoop)
        task = asyncio.create_task(self.attempt([delivery]))
        reached = asyncio.create_task(self.target.wait_until_called())
        await asyncio.wait({task, reached}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        loop.fast_forward = True
        await asyncio.wait({task}, timeout=self.sink.timeout if self.sink else 30.0)
        loop.fast_forward = False
        if task.done():
            return task.result()[0]
        task.cancel()
        await end(task)
        return None

    # -- the sink's life

    async def opened(self) -> Sink:
        """Return the route's sink, which is made and opened at first use."""
        if self.sink is None:
            self.sink = await open_sink(self.make(), SinkFaults(self.make_log()))
        return self.sink

    def make(self) -> Sink:
        context = Context(ACCOUNT, TENANT, ROUTE, State(self.kept), self.make_log(), lambda: self.now)
        return self._make_sink(self.options, context)

    def make_log(self) -> Any:
        return structlog.wrap_logger(
            structlog.WriteLogger(self.heard), processors=[structlog.processors.format_exc_info, show]
        )

    def commit(self) -> None:
        """Commit the changes of the sink's state."""
        if self.sink is not None:
            self.kept |= self.sink.state.take_changes()

    async def restart(self) -> None:
        """Continue with a new instance. Uncommitted state is lost, as in a crash."""
        await self.close()

    async def wait(self, seconds: float) -> None:
        self.now += seconds

    async def close(self) -> None:
        sink, self.sink = self.sink, None
        if sink is not None:
            await asyncio.wait_for(sink.close(), CANCEL_WITHIN)

    def shown(self) -> str:
        """Return everything that was logged or printed, and all errors with their causes."""
        errors = ["".join(traceback.format_exception(error)) for error in self.errors]
        return "\n".join([self.heard.getvalue(), *errors, repr(self.sink), str(self.sink), repr(self.options)])


async def end(task: asyncio.Task[Any]) -> None:
    """Wait for a cancelled task, as long as the gateway would."""
    done, _ = await asyncio.wait({task}, timeout=CANCEL_WITHIN)
    expect(bool(done), f"a cancelled attempt must end within {CANCEL_WITHIN:g} s, but this one does not")
    if not task.cancelled():
        task.result()


def show(logger: Any, name: str, event: Mapping[str, Any]) -> str:
    return repr(event)


@contextlib.contextmanager
def listening(stream: io.StringIO) -> Any:
    """Write all output to `stream`: printed text, and log records of the stdlib at any level."""
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
