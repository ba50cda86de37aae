"""Runs a gateway that dies at a named point: `python -m tests.support.faults POINT NUMBER serve --config …`.

The points lie between every two steps from a request to the end of its delivery. They wrap the product's functions from
outside: the product contains nothing for them.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from cloudsignal_csv.output import Output
from gateway.dispatch.runner import Runner
from gateway.ingest import Ingest
from gateway.store import statements
from gateway.store.sqlite import accept, lanes, lease, record
from gateway.store.writer import Writer
from gateway.web.http1.connection import Connection

STATEMENTS = {
    accept: ("insert_signals", "mark_late", "insert_deliveries"),
    record: ("update_results", "insert_attempts", "update_state"),
    lanes: ("promote_heads",),
    lease: ("lease_due",),
}
"""The write steps of the path in SQLite, each within a transaction."""

SENT = "statement-sent"
"""The fault point of PostgreSQL, where statements are sent without waiting."""

POINTS: dict[str, tuple[Any, str, str]] = {
    "request-read": (Ingest, "_accept", "before"),
    "transaction-asked": (Writer, "_begin", "before"),
    "transaction-begun": (Writer, "_begin", "after"),
    "rows-written": (Writer, "_run_steps", "after"),
    "committed": (Writer, "_commit", "after"),
    "resolved": (Writer, "_resolve", "after"),
    "before-answer": (Connection, "_write", "before"),
    "after-answer": (Connection, "_write", "after"),
    "claimed": (Runner, "start", "before"),
    "before-delivery": (Runner, "_call", "before"),
    "after-delivery": (Runner, "_call", "after"),
    "judged": (Runner, "_record", "before"),
    "recorded": (Runner, "_record", "after"),
    "rows-appended": (Output, "append", "after"),
    "file-packed": (Output, "_compress", "after"),
    "file-finished": (Output, "_publish", "after"),
    SENT: (statements, "send", "after"),
    **{name.replace("_", "-"): (module, name, "after") for module, names in STATEMENTS.items() for name in names},
}
"""Each point: the function, and whether it lies before or after it."""


def points_on(store: str) -> list[str]:
    """Return the fault points that a gateway on the store passes."""
    if store.startswith("postgresql:"):
        return [point for point, (owner, _, _) in POINTS.items() if owner not in STATEMENTS]
    return [point for point in POINTS if point != SENT]


def die_at_call(number: int) -> Callable[[], None]:
    """Return a function that kills this process at its `number`-th call."""
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


def arm(point: str, number: int) -> None:
    """Make this process die at the `number`-th pass of the point."""
    owner, name, when = POINTS[point]
    function = getattr(owner, name)
    die = die_at_call(number)

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            die()
        result = function(*args, **kwargs)
        if when == "after" and not inspect.iscoroutine(result):
            die()
        return then_die(result, die) if when == "after" and inspect.iscoroutine(result) else result

    setattr(owner, name, wrapped)


async def then_die(work: Awaitable[Any], die: Callable[[], None]) -> Any:
    result = await work
    die()
    return result


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    from gateway.cli import main

    main(sys.argv[3:], prog_name="cloudsignal")
