"""Looks for damage after a run that did not end in order: a crash of the computer may leave some.

SQLite's quick check reads the whole file: about a second for 500 MB in memory, many seconds from a disk. A gateway must
be back sooner, because senders wait. So the check runs on a thread, and the start waits for it for a while only. Damage
found later ends the run; see `DatabaseStore.verify`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import structlog

from gateway.errors import StoreCorrupt
from gateway.store.failures import original

log = structlog.get_logger()

START_WAIT = 1.0
"""Seconds that a start waits for the check."""
MAX_PROBLEMS = 5
"""Problems named in the message; a damaged file may have thousands."""

ADVICE = (
    "Keep a copy of the file and of those beside it (-wal, -shm). Then put a backup in its place, or what can "
    'still be read: sqlite3 damaged.db .recover | sqlite3 mended.db; "cloudsignal audit" tells what is missing.'
)


def damaged(path: Path, problem: str) -> StoreCorrupt:
    """Return the error, with advice."""
    return StoreCorrupt(f"the store {path} is damaged: {problem}. {ADVICE}")


def is_corrupt(error: BaseException) -> bool:
    """Return True if SQLite found damage."""
    return getattr(original(error), "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT


class IntegrityCheck:
    """A check that runs from its creation on, on a thread, with a connection that only reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: Future[list[str] | None] = Future()
        self._found.set_running_or_notify_cancel()  # so that a cancelled waiter does not cancel the check
        self._started = time.monotonic()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        log.warning("store.check_started", store=str(path), reason="the last run did not end in order")
        threading.Thread(target=self._run, name="store-check", daemon=True).start()

    @property
    def sound(self) -> bool:
        """Return True if the check has ended and found no damage."""
        return self._found.done() and self._found.result() == []

    def wait(self) -> None:
        """Wait for the result for START_WAIT. Raises StoreCorrupt if there is damage."""
        try:
            self._judge(self._found.result(max(0.0, self._started + START_WAIT - time.monotonic())))
        except TimeoutError:
            log.info("store.check_continues", store=str(self._path))

    async def verify(self) -> None:
        """Wait for the result. Raises StoreCorrupt if there is damage."""
        self._judge(await asyncio.wrap_future(self._found))

    def cancel(self) -> None:
        """End the check, without a result if it has none yet."""
        with contextlib.suppress(sqlite3.ProgrammingError):  # the check has closed its connection
            self._db.interrupt()

    def _judge(self, problems: list[str] | None) -> None:
        if problems:
            raise damaged(self._path, "; ".join(problems))

    def _run(self) -> None:
        try:
            problems = self._check()
        except sqlite3.Error:
            # Interrupted by `cancel`, or locked out. The run stays marked as not ended in order, the next one checks.
            log.warning("store.check_ended", store=str(self._path), result="not finished", seconds=self._seconds())
            self._found.set_result(None)
        else:
            level = log.error if problems else log.info
            level("store.check_ended", store=str(self._path), result=problems or "sound", seconds=self._seconds())
            self._found.set_result(problems)
        finally:
            self._db.close()

    def _check(self) -> list[str]:
        try:
            rows = self._db.execute(f"PRAGMA quick_check({MAX_PROBLEMS})").fetchall()
        except sqlite3.DatabaseError as error:
            if is_corrupt(error):
                return [str(error)]
            raise
        return [" ".join(text.split()) for (text,) in rows if text != "ok"]

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 2)
