"""Long work on the command line: a bar that shows how far it is, and Ctrl-C that ends it in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.store.values import Page

T = TypeVar("T")

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


class Bar:
    """A bar on stderr."""

    def __init__(self, progress: Progress, what: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total)

    def advance(self, steps: int = 1) -> None:
        """So many more are done."""
        self._progress.advance(self._task, steps)

    def grow(self, done: int) -> None:
        """So many more are done, of nobody knows how many."""
        self._progress.update(self._task, advance=done, total=None)

    def follow(self, page: Page) -> None:
        """Show how far a work is that goes page by page."""
        total = page.last - page.first + 1
        self._progress.update(self._task, total=total, completed=page.reached - page.first + 1)


@contextlib.contextmanager
def progress_bar(what: str, total: int, hidden: bool = False) -> Iterator[Bar]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=hidden) as progress:
        yield Bar(progress, what, total)


@contextlib.contextmanager
def interruptible() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C sets, for the work to look at; a second one ends the process where it is."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def ask() -> None:
        asked.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def until(asked: asyncio.Event, parts: AsyncIterator[T], *, yielding: bool = False) -> AsyncIterator[T]:
    """The parts of a work, until asked to stop. One that is `yielding` rests after each part for as long as it took:
    a gateway that waits for SQLite's lock looks for it now and then, and would hardly find it free otherwise."""
    started = time.monotonic()
    async for part in parts:
        yield part
        if yielding:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), time.monotonic() - started)
        if asked.is_set():
            return
        started = time.monotonic()
