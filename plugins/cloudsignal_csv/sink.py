"""The sink: it appends batches of deliveries in a thread, and keeps the position in the route's state."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from cloudsignal_csv.options import FormatSettings, Settings, check_together
from cloudsignal_csv.output import Mark, Output
from cloudsignal_csv.rows import Format
from gateway.sink import (
    ALL,
    Check,
    Context,
    Delivery,
    Misconfigured,
    RecentDeliveries,
    RetryLater,
    Signal,
    Sink,
    options_of,
)

T = TypeVar("T")


MISCONFIGURED_ERRNOS = frozenset(
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
"""Errors that last until a person acts. Others, such as a full disk, are retried."""

NOTE_AFTER = 1.0
"""Seconds after a batch until the file has the note that its rows are recorded."""
DAY_CHECK_INTERVAL = 20.0
"""Seconds between checks for the end of the day. A daily file is finished this late at most."""


class CsvSink(Sink):
    """Appends one row per signal to the route's open file, exactly once, and finishes files by day or size.

    `state` has the mark and the deliveries of the last batch; it is committed with their results.
    A batch after the committed mark is cut: its deliveries were not recorded, and come again.
    If results could not be saved, deliveries before the mark come again too. They are recognised by `recent`.
    A file is finished after all of its rows are committed, so no reader finds a row that is written again elsewhere.
    """

    name = "csv"
    summary = "one row per signal in CSV files, each exactly once"
    signals = ALL
    order = "lane"
    sample = {"directory": "exports", "rotate": "daily"}
    options = options_of(Settings)
    file_options = options_of(FormatSettings)
    batch = 250
    concurrency = 1
    single_writer = True

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__(options, context)
        self.csv = Settings(**options)
        self.format = self.csv.make_format()
        self.output = Output(self.csv.make_names(context), self.format.header(), self.format.digest(), self.log)
        self.sleep = asyncio.sleep
        kept = self.state.get("mark")
        self._mark = Mark(*kept) if kept else None
        self._recent = RecentDeliveries(self.state, "recent")
        self._watch: asyncio.Task[None] | None = None
        self._noting: asyncio.TimerHandle | None = None
        self._turn = asyncio.Lock()
        # Its own thread, so that a hanging directory delays no other sink. Only one, so that a cancelled append ends
        # before the next begins.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="csv")

    @classmethod
    def check_together(cls, options: Mapping[str, Any]) -> None:
        """Check the options that depend on each other."""
        check_together(options)

    @classmethod
    def file_format(cls, options: Mapping[str, Any]) -> Format:
        """Return the format of the files, for `cloudsignal export`."""
        return FormatSettings(**options).make_format()

    @classmethod
    def opens_at_start(cls, options: Mapping[str, Any]) -> bool:
        """Return True for daily files: the day may have ended while the gateway was down."""
        return bool(options["rotate"].daily)

    async def open(self) -> None:
        """Check the files and cut uncommitted rows, or begin the first file."""
        self._mark = await self._in_thread(self.output.find, self._mark)
        if self.csv.rotate.daily:
            self._watch = asyncio.create_task(self._watch_for_midnight())

    async def deliver_batch(self, deliveries: Sequence[Delivery]) -> None:
        """Append the batch. It is on the disk when this returns."""
        async with self._turn:
            fresh = [*self._recent.start_batch(deliveries).values()]
            signals = [delivery.signal for delivery in fresh]
            # If this is cancelled here, the mark stays, and the next batch cuts the rows that the thread still writes.
            self._mark = end = await self._in_thread(self._write, signals, self._mark, self._is_committed())
            self.state.set("mark", astuple(end))
            self._recent.add(fresh)
        self._note_soon()

    def _write(self, signals: Iterable[Signal], mark: Mark | None, committed: bool) -> Mark:
        rows, today = self.format.rows(signals), self._today()
        at = self.output.prepare(mark, rows)
        if not rows:
            return at
        if committed and at == mark and self.output.is_due(at, today, len(rows)):
            at = self.output.rotate(at)
        return self.output.append(rows, at, today)

    def _is_committed(self) -> bool:
        return self._mark is not None and tuple(self.state.committed("mark", ())) == astuple(self._mark)

    # -- the note of recorded rows

    def _note_soon(self) -> None:
        """Note in the file, once no batch has come for a while, that its rows are recorded. A batch notes it too."""
        if self._noting is not None:
            self._noting.cancel()
        self._noting = asyncio.get_running_loop().call_later(NOTE_AFTER, self._note)

    def _note(self) -> None:
        if self._mark is not None and self._is_committed():
            self._thread.submit(self.output.note_recorded, self._mark)

    # -- the day's end

    async def _watch_for_midnight(self) -> None:
        """Finish a day's file soon after midnight, even if no signal comes."""
        while True:
            try:
                await self._finish_day()
            except (Misconfigured, RetryLater) as error:
                self.log.warning("csv.day_not_finished", reason=str(error))
            await self.sleep(DAY_CHECK_INTERVAL)

    async def _finish_day(self) -> None:
        async with self._turn:
            if self._mark and self.output.is_due(self._mark, self._today()) and self._is_committed():
                self._mark = await self._in_thread(self._finish, self._mark)

    def _finish(self, mark: Mark) -> Mark:
        at = self.output.prepare(mark)
        return self.output.rotate(at) if at == mark and self.output.ends_at(at) else at

    def _today(self) -> str:
        return datetime.fromtimestamp(self.context.now(), self.format.timezone).date().isoformat()

    # -- check and close

    async def check(self) -> Check:
        """Check that the directory can be written, by writing a temporary file."""
        try:
            return Check(True, (await self._in_thread(probe, self.output.names.open_path(1)),))
        except (Misconfigured, RetryLater) as error:
            return Check(False, (str(error),))

    async def close(self) -> None:
        """Wait for the write in progress, then close the file."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        if self._noting is not None:
            self._noting.cancel()
        if self._mark is not None and self._is_committed():
            await self._in_thread(self.output.note_recorded, self._mark)
        await self._in_thread(self.output.close)
        self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except OSError as error:
            reason = f"{error.strerror or type(error).__name__}: {error.filename or self.output.names.directory}"
            raise (Misconfigured if error.errno in MISCONFIGURED_ERRNOS else RetryLater)(reason) from error


def probe(path: Path) -> str:
    """Return a line about the file's directory. Raises OSError if rows can't be written there."""
    directory = path.parent
    if directory.exists():
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"\n")
            file.flush()
            os.fsync(file.fileno())
        return f"{path}: {path.stat().st_size} bytes" if path.exists() else f"{directory}: can be written"
    above = next(parent for parent in directory.absolute().parents if parent.exists())
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(above))
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(above))
    return f"{directory}: will be made"
