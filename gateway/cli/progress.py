"""Long commands: a progress bar, and Ctrl-C that ends the work between two steps."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells define it."""


class Bar:
    """A progress bar on stderr, from the first step on. A total of None is an unknown one."""

    def __init__(self, progress: Progress, label: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total)

    def show(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` steps are done. Nothing to do is shown as done."""
        if total == 0:
            done = total = 1
        self._progress.start()
        self._progress.update(self._task, completed=done, total=total)

    def advance(self) -> None:
        """Show that one more step is done."""
        self._progress.start()
        self._progress.advance(self._task)


@contextlib.contextmanager
def progress_bar(label: str, total: int | None, hidden: bool = False) -> Iterator[Bar]:
    """Show a bar while the context lasts, unless `hidden`. Work that fails before its first step shows none."""
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True), disable=hidden)
    try:
        yield Bar(progress, label, total)
    finally:
        if progress.live.is_started:
            progress.stop()


@contextlib.contextmanager
def interruptible() -> Iterator[asyncio.Event]:
    """Give an event that Ctrl-C sets, for the work to look at. A second Ctrl-C ends the process at once."""
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


def exit_if_stopped(stopped_at: int | None) -> None:
    """Exit with INTERRUPTED if the work stopped after a signal, and print how to continue."""
    if stopped_at is not None:
        click.echo(f"Interrupted after signal {stopped_at}; to go on: --after {stopped_at}", err=True)
        sys.exit(INTERRUPTED)
