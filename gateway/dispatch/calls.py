"""Calls of a sink: its answers and exceptions as outcomes, its opening and its closing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from gateway.dispatch.faults import SinkFaults
from gateway.errors import GatewayError, Misconfigured, Permanent, RetryLater, Skip
from gateway.model import Kind, Outcome
from gateway.sink.api import Sink

T = TypeVar("T")

CANCEL_WITHIN = 5.0
"""Seconds that a sink has to end after it was cancelled; then the gateway goes on without it. It is a promise to sinks,
which gateway.testing checks, and so not a part of `Tuning`."""


def batch_outcomes(answers: Sequence[BaseException | None] | None, count: int) -> Sequence[Outcome]:
    if answers is None:
        return [Outcome(Kind.DELIVERED)] * count
    if len(answers) != count:
        raise GatewayError(f"the sink answered {len(answers)} outcomes for {count} deliveries")
    return [Outcome(Kind.DELIVERED) if error is None else outcome_of(error) for error in answers]


def outcome_of(error: BaseException) -> Outcome:
    """Return the outcome that an exception of a sink stands for. An unknown exception is retried."""
    reason = describe(error)
    match error:
        case RetryLater():
            return Outcome(Kind.RETRY, reason, error.after, error.healthy, error.firm)
        case Permanent():
            return Outcome(Kind.PERMANENT, reason)
        case Misconfigured():
            return Outcome(Kind.MISCONFIGURED, reason)
        case Skip():
            return Outcome(Kind.SKIPPED, reason)
    return Outcome(Kind.RETRY, f"{type(error).__name__}: {reason}")


def describe(error: BaseException) -> str:
    """Return an exception's message as text that every store and log can hold.

    A sink may put a target's answer into it, which may have lone surrogates.
    """
    try:
        text = str(error)
    except BaseException:  # a plugin's own __str__, which may even call sys.exit
        return "its message can't be shown"
    return without_surrogates(text)


def without_surrogates(text: str) -> str:
    """Return a text with lone surrogates escaped: they can be neither stored nor printed."""
    return text.encode("utf-8", "backslashreplace").decode()


async def open_sink(sink: Sink, faults: SinkFaults) -> Sink:
    """Open a sink and return it. If that fails or is cancelled, close it: it may lock a file of the next one."""
    try:
        await sink.open()
    except BaseException:
        await close_sink(sink, faults)
        raise
    return sink


async def close_sink(sink: Sink, faults: SinkFaults) -> None:
    """Close a sink, within CANCEL_WITHIN. An exception or a hang is logged and not raised."""
    closing = asyncio.create_task(catch(sink.close))
    faults.watch(closing)
    done, _ = await asyncio.wait({closing}, timeout=CANCEL_WITHIN)
    if not done:
        closing.cancel()
        faults.abandon("close", CANCEL_WITHIN)
        return
    _, error = closing.result()
    if error is not None:
        faults.report(error, "close")


async def catch(work: Callable[[], Awaitable[T]]) -> tuple[T | None, BaseException | None]:
    """Return the result of a sink's work, or its exception. A task that raised SystemExit would end the event loop."""
    try:
        return await work(), None
    except BaseException as error:
        return None, error
