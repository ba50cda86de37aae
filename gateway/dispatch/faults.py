"""Reports unexpected exceptions of a route's sink: each fault once, with its traceback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.errors import SinkError

MAX_FAULTS = 100
"""Faults remembered for a route. Beyond, the memory is cleared and a fault may be reported again."""


class SinkFaults:
    """Reports each fault of a sink once, until `forget` is called after a success.

    A fault is an exception type, raised at one place of the code, in one hook (`open`, `deliver`, `close` …). Errors
    of the sink API and cancellations are no faults. `log` names the route. `watch` is called with each task that runs
    code of the sink.
    """

    def __init__(self, log: Any, watch: Callable[[asyncio.Task[Any]], None] = lambda task: None) -> None:
        self._log = log
        self.watch = watch
        self._reported: set[tuple[str, str, str]] = set()

    def report(self, error: BaseException, hook: str) -> None:
        """Log the exception with its traceback, unless it is no fault or was reported."""
        if isinstance(error, (SinkError, asyncio.CancelledError)):
            return
        fault = hook, type(error).__qualname__, place_of(error)
        if fault in self._reported:
            return
        if len(self._reported) >= MAX_FAULTS:
            self._reported.clear()
        self._reported.add(fault)
        self._log.error("sink.failed", hook=hook, place=fault[2], exc_info=error)

    def abandon(self, hook: str, seconds: float) -> None:
        """Log that the sink did not end within this time after it was cancelled or closed."""
        self._log.error("sink.abandoned", hook=hook, seconds=seconds)

    def forget(self) -> None:
        """Report known faults again, as the sink has worked since."""
        self._reported.clear()


def place_of(error: BaseException) -> str:
    """Return the file and line that raised the exception, "" if it was never raised."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
