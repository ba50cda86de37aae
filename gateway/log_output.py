"""Writes log lines from a thread of its own, so that a reader that stalls stops nothing but the log."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import io
import os
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

MAX_LINES = 10_000
"""Lines that wait for a reader that stalls; further lines are dropped and counted. Some seconds of a busy log."""
MAX_BYTES = 4 << 20
"""Bytes that may wait; they bound the memory if the lines are long."""
CLOSE_WITHIN = 2.0
"""Seconds that the end of the process waits for the last lines to be written."""

PIECE = select.PIPE_BUF
"""Bytes of one write. A pipe takes so many at once, or none; so lines of several processes are never mixed."""
LONGEST_LINE = 64 << 10
"""Characters of a printed line that are kept until it ends; a longer one is written in parts."""


class LogOutput:
    """Lines on their way to a file descriptor, in order, bounded in number and bytes.

    A line that finds no room, or can't be written because the disk is full or the reader is gone, is dropped. A line
    from `describe_dropped` takes the place of those dropped in a row. `dropped` counts all of them.

    Lines arrive as text, because rendering costs less than passing an event's values to another thread: both threads
    share one interpreter, and the values would have to be kept from changing.
    """

    def __init__(self, descriptor: int, max_lines: int = MAX_LINES, max_bytes: int = MAX_BYTES) -> None:
        self.describe_dropped: Callable[[int], str] = lambda lines: f"{lines} lines dropped\n"
        self.dropped = 0
        self._descriptor = descriptor
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._reset()
        os.register_at_fork(after_in_child=forked(self))
        atexit.register(drain_at_exit, weakref.ref(self))

    def _reset(self) -> None:
        # Reentrant: garbage collection may run a finalizer that logs while this thread holds the lock.
        self._lock = threading.RLock()
        self._wake = threading.Lock()
        self._wake.acquire()
        self._waiting: deque[bytes | int] = deque()  # an int is a number of lines dropped at this place
        self._bytes = 0
        self._lines = 0
        self._awake = False
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> None:
        """Queue a line, or drop it if there is no room. Never blocks, never raises."""
        line = text.encode("utf-8", "backslashreplace")
        with self._lock:
            if self._lines < self._max_lines and self._bytes + len(line) <= self._max_bytes:
                self._waiting.append(line)
                self._lines += 1
                self._bytes += len(line)
            else:
                self._drop(1)
            asleep, self._awake = not self._awake, True
        if asleep:
            self._wake_thread()

    def flush(self) -> None:
        """Do nothing: the thread writes each line as soon as the descriptor takes it."""

    def isatty(self) -> bool:
        """Return True for a terminal."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def drain(self, within: float = CLOSE_WITHIN) -> bool:
        """Wait until every line is written or dropped. Return False if that takes longer than `within` seconds."""
        deadline = time.monotonic() + within
        while self._awake:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    def _drop(self, lines: int) -> None:
        self.dropped += lines
        if self._waiting and isinstance(self._waiting[-1], int):
            self._waiting[-1] += lines
        else:
            self._waiting.append(lines)

    # -- the thread

    def _wake_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            with contextlib.suppress(RuntimeError):  # the interpreter is ending, and starts no more threads
                self._thread.start()
        self._wake.release()

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            written = True
            while batch := self._take(written):
                written = self._write_out(batch)

    def _take(self, written: bool) -> list[bytes | int]:
        """Return what waits, or nothing and fall asleep. After a failure, a count of dropped lines waits for a line."""
        with self._lock:
            if not self._lines and not (written and self._waiting):
                self._awake = False
                return []
            batch = list(self._waiting)
            self._waiting.clear()
            self._lines = self._bytes = 0
        return batch

    def _write_out(self, batch: list[bytes | int]) -> bool:
        """Write a batch. Return False if it failed; then the lines that are not written count as dropped."""
        for place, piece in pieces_of(batch, self.describe_dropped):
            try:
                self._write_all(piece)
            except OSError:  # the disk is full, or the reader is gone
                self._put_back(batch[place:])
                return False
        return True

    def _write_all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # whoever started the process made the pipe non-blocking
                select.select([], [self._descriptor], [])

    def _put_back(self, batch: list[bytes | int]) -> None:
        new = sum(isinstance(part, bytes) for part in batch)
        told_before = sum(part for part in batch if isinstance(part, int))
        with self._lock:
            self.dropped += new
            if self._waiting and isinstance(self._waiting[0], int):
                told_before += self._waiting.popleft()  # type: ignore[operator]
            self._waiting.appendleft(new + told_before)


def pieces_of(batch: Sequence[bytes | int], describe_dropped: Callable[[int], str]) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines in pieces of at most PIECE bytes, each with the place of its first line in the batch.

    Workers share a pipe. A write of more bytes could be mixed with another worker's, within a line.
    """
    first, piece = 0, b""
    for place, part in enumerate(batch):
        line = part if isinstance(part, bytes) else describe_dropped(part).encode("utf-8", "backslashreplace")
        if piece and len(piece) + len(line) > PIECE:
            yield first, piece
            first, piece = place, b""
        piece += line
    yield first, piece


def forked(output: LogOutput) -> Callable[[], None]:
    """Return the function that a forked child calls: it has no thread, and its parent writes what waits."""
    known = weakref.ref(output)

    def reset() -> None:
        if (output := known()) is not None:
            output._reset()

    return reset


def drain_at_exit(known: weakref.ref[LogOutput]) -> None:
    """Write the last lines before the process ends."""
    if (output := known()) is not None:
        output.drain()


def descriptor_of(stream: TextIO | None) -> int:
    """Return a stream's descriptor, or one that leads nowhere if the process was started without the stream.

    Its number must not be used then: it may be that of the next file that is opened, such as the database.
    """
    return os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno()


async def watch_dropped(output: LogOutput, report: Callable[[int], None], every: float = 1.0) -> None:
    """Report the number of dropped lines, every second, for ever."""
    while True:
        report(output.dropped)
        await asyncio.sleep(every)


class LineStream(io.TextIOBase):
    """A text stream whose lines pass `edit` and go to a log output.

    In a gateway it is `sys.stderr`: a plugin that prints, or a traceback, must not block the process either. The stream
    that it `replaces` is kept open, so that no other file gets the number of its descriptor.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, output: LogOutput, edit: Callable[[str], str], replaces: TextIO | None = None) -> None:
        self._output = output
        self._replaced = replaces
        self._edit = edit
        self._begun = ""

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError("expected text")
        *lines, self._begun = (self._begun + text).split("\n")
        if len(self._begun) > LONGEST_LINE:
            lines, self._begun = [*lines, self._begun], ""
        for line in lines:
            self._output.write(self._edit(line) + "\n")
        return len(text)

    def flush(self) -> None:
        """Do nothing: a line is written when it ends."""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._output.isatty()

    def fileno(self) -> int:
        return self._output.fileno()
