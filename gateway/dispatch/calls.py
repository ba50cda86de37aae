"""Calls of a sink: its answers and exceptions as outcomes, its opening and its closing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import structlog

from gateway.errors import GatewayError, Misconfigured, Permanent, RetryLater, Skip
from gateway.model import Kind, Outcome, Route
from gateway.sink.api import Sink

log = structlog.get_logger()

CANCEL_WITHIN = 5.0
"""Seconds that a sink has to end after it was cancelled; then the gateway goes on without it. It is a promise to sinks,
which gateway.testing checks, and so not a part of `Tuning`."""


def batch_outcomes(answers: Sequence[Exception | None] | None, count: int) -> Sequence[Outcome]:
    if answers is None:
        return [Outcome(Kind.DELIVERED)] * count
    if len(answers) != count:
        raise GatewayError(f"the sink answered {len(answers)} outcomes for {count} deliveries")
    return [Outcome(Kind.DELIVERED) if error is None else outcome_of(error) for error in answers]


def outcome_of(error: Exception) -> Outcome:
    """Return the outcome that an exception of a sink stands for. An unknown exception is retried."""
    match error:
        case RetryLater():
            return Outcome(Kind.RETRY, str(error), error.after, error.healthy)
        case Permanent():
            return Outcome(Kind.PERMANENT, str(error))
        case Misconfigured():
            return Outcome(Kind.MISCONFIGURED, str(error))
        case Skip():
            return Outcome(Kind.SKIPPED, str(error))
    return Outcome(Kind.RETRY, f"{type(error).__name__}: {error}")


async def open_sink(sink: Sink, route: Route) -> Sink:
    """Open a sink and return it. If that fails or is cancelled, close it: it may lock a file of the next one."""
    try:
        await sink.open()
    except BaseException:
        await quietly(sink.close(), route)
        raise
    return sink


async def quietly(work: Awaitable[None], route: Route) -> None:
    """Run a sink's clean-up. An exception or a hang is logged and not raised."""
    try:
        await asyncio.wait_for(work, CANCEL_WITHIN)
    except Exception:
        log.exception("sink.close_failed", **route.log_context())
