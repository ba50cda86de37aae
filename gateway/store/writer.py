"""The one thread that writes. It takes everything that waits, runs it as one transaction and resolves the futures."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import structlog
from peewee import Database, InterfaceError, OperationalError, PeeweeException

from gateway.errors import StoreBusy, StoreError

log = structlog.get_logger()

Answers = Sequence[Any] | Callable[[], Sequence[Any]]
"""One for each operation; or what reads them once the transaction has ended, of what was sent and not waited for."""

Step = Callable[[Database, Sequence[Any]], Answers]
"""Writes all operations of one kind; given their items in the order of the calls, it answers each."""

Prepare = Callable[[Database, Sequence[tuple[Step, Any]]], None]
"""Runs first in each transaction, given the steps and items that it is for."""

ENVIRONMENT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Failures that no row is to blame for: to write the batch again in parts would fail as often as there are parts."""
SERVER = frozenset({"08", "25", "53", "55", "57", "58", "XX"})
"""The same of PostgreSQL, by the class of the code: the connection, a server that only reads, what it is short of, one
that is in use, an operator, the system, the server itself."""
NO_CONNECTION = (OperationalError, InterfaceError)
"""What a connection that broke, or was never made, raises without a code."""


GATHER = 0.004
"""Seconds for which operations wait for others to join, at the most. Results of deliveries do, unless something else
comes: one by one they would be a transaction and an fsync each, at the cost of all else on the core. And under a rush
of senders accepts do, until all that asked at once before are back: each transaction costs what ten signals do."""
RUSH = 16
"""Accepts in one transaction that are a rush: a sender that waits for each answer before its next signal makes none."""
AHEAD = 10
"""By how much the thread is less nice than the process's others. Its work comes in small pieces, and a sender waits
for each: on a core that deliveries keep busy, every piece would wait for the others' time slices, some ms each."""


@dataclass(slots=True, eq=False)
class Operation:
    """One call of the store; `awaited` by a sender, who is to be answered, or `patient`, if it may wait for others."""

    step: Step
    item: Any
    future: asyncio.Future[Any]
    awaited: bool
    patient: bool


class Writer:
    """Group commit. `steps` are the kinds of operations, in the order in which a transaction runs them.

    `prepare` runs first in each transaction. `forms` are steps as this database has them, in place of others. Futures
    belong to `loop`, on which every method is called, and `on_failure` too, after a write that failed.
    """

    def __init__(
        self,
        db: Database,
        steps: Sequence[Step],
        limit: int,
        loop: asyncio.AbstractEventLoop,
        prepare: Prepare = lambda db, work: None,
        forms: Mapping[Step, Step] = MappingProxyType({}),
    ) -> None:
        self._db = db
        self._prepare = prepare
        self._forms = forms
        self._rank = {step: rank for rank, step in enumerate(steps)}
        self._limit = limit
        self._loop = loop
        self._queue: queue.SimpleQueue[Operation | None] = queue.SimpleQueue()
        self._awaited = 0
        self._senders = self._most_senders = 0
        self._hurry = threading.Event()
        self._gathered_at = float("-inf")
        self.on_failure: Callable[[], None] = do_nothing
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, step: Step, item: Any, *, bounded: bool = False, patient: bool = False) -> asyncio.Future[Any]:
        """Queue an operation. StoreError once closed; StoreBusy where the queue is full and the call `bounded`."""
        if self._closed:
            raise StoreError("the store is closed")
        if bounded and self._queue.qsize() >= self._limit:
            raise StoreBusy
        operation = Operation(step, item, self._loop.create_future(), awaited=bounded, patient=patient)
        self._senders += bounded
        self._most_senders = max(self._most_senders, self._senders)
        self._queue.put(operation)
        if not patient and self._queue.qsize() >= self._awaited and not self._hurry.is_set():
            self._hurry.set()
        return operation.future

    def _settle(self, operations: Sequence[Operation], answers: Sequence[Any]) -> None:
        self._senders -= sum(operation.awaited for operation in operations)
        settle(operations, answers)

    def close(self) -> threading.Thread:
        """Take nothing more; the thread, which ends once all that waits is written."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._hurry.set()
        return self._thread

    # -- on the thread

    def _run(self) -> None:
        go_ahead()
        for operations in self._batches():
            operations.sort(key=lambda operation: self._rank[operation.step])
            # What senders wait for has a transaction of its own: those of deliveries may be long.
            for awaited in (True, False):
                if part := [operation for operation in operations if operation.awaited is awaited]:
                    self._write(part)
        self._db.close()

    def _batches(self) -> Iterator[list[Operation]]:
        """All that waits, again and again."""
        while (first := self._queue.get()) is not None:
            if first.awaited and self._most_senders >= RUSH:
                self._gather_accepts()
            elif first.patient:
                self._gather_results()
            self._hurry.clear()
            operations = [first]
            while not self._queue.empty():
                operation = self._queue.get()
                if operation is None:
                    self._queue.put(None)
                    break
                operations.append(operation)
            yield operations

    def _gather_results(self) -> None:
        """Let others join, where the last that did so were written just now."""
        self._hurry.wait(max(0.0, self._gathered_at + GATHER - time.monotonic()))
        self._gathered_at = time.monotonic()

    def _gather_accepts(self) -> None:
        """Let others join, until there are as many as at the last time."""
        self._hurry.clear()
        self._awaited, self._most_senders = self._most_senders - 1, self._senders
        if self._queue.qsize() < self._awaited and not self._closed:
            self._hurry.wait(GATHER)
        self._awaited = 0

    def _write(self, operations: Sequence[Operation]) -> None:
        """Write and resolve. Where the transaction fails, halve it until the row to blame fails alone."""
        try:
            answers = self._transact(operations)
        except Exception as error:
            if len(operations) == 1 or blames_environment(error):
                self._fail(operations, error)
                return
            middle = len(operations) // 2
            self._write(operations[:middle])
            self._write(operations[middle:])
        else:
            try:
                found = read(answers)
            except Exception as error:  # they are committed: not to be written again
                self._fail(operations, error)
            else:
                self._resolve(operations, found)

    def _transact(self, operations: Sequence[Operation]) -> list[Answers]:
        self._begin()
        try:
            self._prepare(self._db, [(operation.step, operation.item) for operation in operations])
            answers = self._run_steps(operations)
            self._commit()
        except BaseException:
            self._rollback()
            raise
        return answers

    def _begin(self) -> None:
        self._db.begin()

    def _run_steps(self, operations: Sequence[Operation]) -> list[Answers]:
        groups = itertools.groupby(operations, key=lambda operation: operation.step)
        return [
            self._forms.get(step, step)(self._db, [operation.item for operation in group]) for step, group in groups
        ]

    def _commit(self) -> None:
        self._db.commit()

    def _rollback(self) -> None:
        with contextlib.suppress(PeeweeException):
            self._db.rollback()

    def _fail(self, operations: Sequence[Operation], error: Exception) -> None:
        failure = describe_failure(error)
        log.error("store.write_failed", reason=failure, operations=len(operations))
        self._resolve(operations, [failed(failure, error) for _ in operations])
        self._tell(self.on_failure)

    def _resolve(self, operations: Sequence[Operation], answers: Sequence[Any]) -> None:
        """All in one hop to the loop; that it is gone is no harm, for the write stands."""
        self._tell(self._settle, operations, answers)

    def _tell(self, what: Callable[..., None], *values: Any) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *values)


def go_ahead() -> None:
    """Have the calling thread run before the process's others, where the system lets it: root may, and others within
    their limit of niceness (RLIMIT_NICE). Only Linux has a niceness for each thread."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            nice = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(-20, nice - AHEAD))


def do_nothing() -> None:
    """Nobody cares."""


def read(answers: Iterable[Answers]) -> list[Any]:
    """Of all steps, one answer for each operation."""
    return [answer for some in answers for answer in (some() if callable(some) else some)]


def settle(operations: Sequence[Operation], answers: Sequence[Any]) -> None:
    """Give each caller that still waits its answer."""
    for operation, answer in zip(operations, answers, strict=True):
        if operation.future.done():
            continue
        if isinstance(answer, Exception):
            operation.future.set_exception(answer)
        else:
            operation.future.set_result(answer)


def original(error: BaseException) -> BaseException:
    """The driver's error within peewee's."""
    driver: BaseException = getattr(error, "orig", None) or error
    return driver


def blames_environment(error: BaseException) -> bool:
    """Whether the disk, the file, the server, the way there or another process is to blame."""
    driver = original(error)
    if isinstance(driver, sqlite3.Error):
        return getattr(driver, "sqlite_errorcode", 0) & 0xFF in ENVIRONMENT
    code = getattr(driver, "sqlstate", None)
    return code[:2] in SERVER if code else isinstance(error, NO_CONNECTION)


def describe_failure(error: BaseException) -> str:
    """The driver's words, which name tables and columns but no values; another error's may hold values."""
    driver = original(error)
    if isinstance(driver, sqlite3.Error) or (isinstance(error, NO_CONNECTION) and not getattr(driver, "sqlstate", "")):
        return "; ".join(str(driver).split("\n"))
    diagnosis = getattr(driver, "diag", None)
    # PostgreSQL's details hold values, and so do its messages about data.
    if diagnosis is None or not diagnosis.sqlstate or diagnosis.sqlstate.startswith("22"):
        return type(driver).__name__
    return f"{type(driver).__name__}: {diagnosis.message_primary}"


def failed(reason: str, cause: BaseException) -> StoreError:
    error = StoreError(f"the store could not write: {reason}")
    error.__cause__ = cause
    return error
