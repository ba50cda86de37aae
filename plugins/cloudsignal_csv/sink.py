"""The sink: batches of deliveries, appended in a thread, with the position kept in the route's state."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from cloudsignal_csv.options import OPTIONS, format_of, path_of
from cloudsignal_csv.output import Mark, Output
from gateway.sink import ALL, Check, Context, Delivery, Misconfigured, RetryLater, Signal, Sink

T = TypeVar("T")


FOR_A_PERSON = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.ENXIO,
    }
)
"""What does not pass by itself, as a full disk may."""

MOST_RECENT = 2000
"""Deliveries remembered at the most."""


class CsvSink(Sink):
    """Appends a row a signal to the route's file, exactly once.

    `state` has the file's mark and which deliveries the last batch held; it is committed with their results. Rows
    after the committed mark are cut: their deliveries were not recorded, and come again. Should deliveries come
    again though the state went ahead, as when their results could not be saved, they are known by `recent`.
    """

    name = "csv"
    summary = "one row a signal in a CSV file, each exactly once"
    signals = ALL
    order = "lane"
    options = OPTIONS
    batch = 500
    concurrency = 1

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__(options, context)
        self.format = format_of(options)
        self.output = Output(path_of(options, context), self.format.header(), self.log)
        kept = self.state.get("mark")
        self._mark = Mark(*kept) if kept else None
        self._turn = asyncio.Lock()
        # A thread of its own, so that a directory that hangs holds up nobody else; one, so that an append that
        # was cancelled ends before the next begins.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="csv")

    async def open(self) -> None:
        """Find the file in order, or begin it."""
        self._mark = await self._in_thread(self.output.prepare, self._mark)

    async def deliver_batch(self, deliveries: Sequence[Delivery]) -> None:
        """Append the batch; on the disk when this returns."""
        async with self._turn:
            recent: list[str] = self.state.get("recent", [])
            known = set(recent)
            fresh = {stamp(delivery): delivery.signal for delivery in deliveries if stamp(delivery) not in known}
            self._mark = at = await self._in_thread(self.output.prepare, self._mark)
            # Cancelled here, the mark stays: the next batch cuts what the thread still writes.
            self._mark = end = await self._in_thread(self._append, at, fresh.values())
            again = len(fresh) < len(deliveries)
            self.state.set("mark", [end.size, end.tail])
            self.state.set("recent", [*(recent if again else ()), *fresh][-MOST_RECENT:])

    def _append(self, mark: Mark, signals: Iterable[Signal]) -> Mark:
        rows = self.format.rows(signals)
        return self.output.append(rows, mark) if rows else mark

    async def check(self) -> Check:
        """Whether the directory can be written, by writing to it."""
        try:
            return Check(True, (await self._in_thread(probe, self.output.path),))
        except (Misconfigured, RetryLater) as error:
            return Check(False, (str(error),))

    async def close(self) -> None:
        """Wait for what is being written, then let go of the file."""
        await self._in_thread(self.output.close)
        self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except OSError as error:
            reason = f"{error.strerror or type(error).__name__}: {error.filename or self.output.path}"
            raise (Misconfigured if error.errno in FOR_A_PERSON else RetryLater)(reason) from error


def stamp(delivery: Delivery) -> str:
    """Names a delivery over its attempts; a replay, which asks for another row, has a later `created_at`."""
    return f"{delivery.key}:{delivery.created_at:.6f}"


def probe(path: Path) -> str:
    """What can be said of the file's directory. Raises OSError where rows could not be written."""
    directory = path.parent
    if directory.exists():
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"\n")
            file.flush()
            os.fsync(file.fileno())
        return f"{path}: {path.stat().st_size} bytes" if path.exists() else f"{path}: will be made"
    above = next(parent for parent in directory.absolute().parents if parent.exists())
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(above))
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(above))
    return f"{directory}: will be made"
