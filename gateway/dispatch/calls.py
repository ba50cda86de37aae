"""What becomes of a call of a sink: its answer as an outcome, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import structlog

from gateway.errors import GatewayError, Misconfigured, Permanent, RetryLater, Skip
from gateway.model import Kind, Outcome, Route
from gateway.sink.api import Sink

log = structlog.get_logger()

CANCEL_WITHIN = 5.0
"""Seconds a sink has to end after it was cancelled, before it is left behind."""


def batch_outcomes(answers: Sequence[Exception | None] | None, count: int) -> Sequence[Outcome]:
    if answers is None:
        return [Outcome(Kind.DELIVERED)] * count
    if len(answers) != count:
        raise GatewayError(f"the sink answered {len(answers)} outcomes for {count} deliveries")
    return [Outcome(Kind.DELIVERED) if error is None else outcome_of(error) for error in answers]


def outcome_of(error: Exception) -> Outcome:
    """What an exception of a sink says of the delivery. One that no sink should raise is retried."""
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
    """The sink, opened. One that can't be, or is cancelled at it, is closed: it may hold what the next one needs."""
    try:
        await sink.open()
    except BaseException:
        await quietly(sink.close(), route)
        raise
    return sink


async def quietly(work: Awaitable[None], route: Route) -> None:
    """Run a sink's clean-up; what it raises, or a hang, is logged and goes no further."""
    try:
        await asyncio.wait_for(work, CANCEL_WITHIN)
    except Exception:
        log.exception("sink.close_failed", **route.log_context())
