"""The one thread that writes. It runs everything that waits as one transaction, and answers the callers.

Ownership. `submit`, `close` and `_settle` run on the event loop, and own `_closed`, `_failure` and `_waiting_senders`.
`_run` and all below it run on the writer's thread, and own the connection and `_in_hand`. Operations cross by the
queue, answers by `call_soon_threadsafe`.

The thread is watched. If it ends for any other reason than `close`, every waiting and every later operation fails with
StoreError. `ended` tells the service, which ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog
from peewee import Database

from gateway.errors import StoreBusy, StoreError
from gateway.store.batching import Batching, Operation, Priority, Waiting
from gateway.store.failures import blames_environment, describe_failure, is_disk_full, write_error
from gateway.store.operations import Answers, Step

log = structlog.get_logger()

NICENESS_GAIN = 10
"""Steps by which the thread is less nice than the process's others. Its work comes in small pieces, and a sender waits
for each: on a core that deliveries keep busy, every piece would wait for the others' time slices, some ms each."""

Before = Callable[[Database, Sequence[Any]], None]
"""Runs first in each transaction, with the items that it will write."""


class ConnectionStuck(BaseException):
    """The connection can't be brought out of a failed transaction. No Exception: nothing but the thread's end helps."""


class Writer:
    """Group commit. `steps` are all kinds of operations, in the order in which a transaction runs them.

    `before` runs first in each transaction. `leave_transaction` is called if a rollback failed. `confirm` runs after
    each commit that senders wait for, and raises StoreError if it can't be relied on. `after_batch` runs when
    all callers of a batch were answered. Futures belong to `loop`, on which every public method is called, and
    `on_commit` after each transaction, `on_failure` after each write that failed.
    """

    def __init__(
        self,
        db: Database,
        steps: Sequence[Step],
        limit: int,
        loop: asyncio.AbstractEventLoop,
        before: Before = lambda db, items: None,
        leave_transaction: Callable[[Database], None] = lambda db: None,
        confirm: Callable[[], None] = lambda: None,
        after_batch: Callable[[Database], None] = lambda db: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._before = before
        self._leave_transaction = leave_transaction
        self._confirm = confirm
        self._after_batch = after_batch
        self._now = now
        self._rank = {step: rank for rank, step in enumerate(steps)}
        self._limit = limit
        self._loop = loop
        self._queue: Waiting = queue.SimpleQueue()
        self._batching = Batching(self._queue)
        self.on_failure: Callable[[], None] = do_nothing
        self.on_commit: Callable[[int, float], None] = do_nothing
        # Only the event loop changes these.
        self._closed = False
        self._failure: str | None = None
        self._ended: asyncio.Future[StoreError] = loop.create_future()
        self._waiting_senders = 0
        # Only the writer's thread changes these.
        self._in_hand: list[Operation] = []
        self._refusal: tuple[float, StoreError] | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    # -- on the event loop

    def submit(self, step: Step, item: Any, priority: Priority = Priority.NORMAL) -> asyncio.Future[Any]:
        """Queue an operation. Raises StoreError if the writer is closed or has ended, StoreBusy if full (ACK).

        Raises TypeError for a step without a rank: on the thread it would end the writer.
        """
        if step not in self._rank:
            name = getattr(step, "__qualname__", repr(step))
            raise TypeError(f"{name} is no step of this writer: add it to order_of_steps in gateway/store/dialect.py")
        if self._closed:
            raise StoreError("the store is closed")
        if self._failure is not None:
            raise StoreError(self._failure)
        if priority is Priority.ACK:
            if self.is_full():
                raise StoreBusy
            self._waiting_senders += 1
        operation = Operation(step, item, self._loop.create_future(), priority, self._waiting_senders)
        self._queue.put(operation)
        self._batching.arrived(priority)
        return operation.future

    def is_full(self) -> bool:
        """Return True if as many operations wait as senders may queue."""
        return self._queue.qsize() >= self._limit

    async def ended(self) -> StoreError:
        """Wait until the thread has ended unexpectedly; return the error that operations fail with."""
        return await asyncio.shield(self._ended)

    def failure(self) -> StoreError | None:
        """Return the error that operations fail with since the thread has ended unexpectedly; None while it works."""
        return None if self._failure is None else StoreError(self._failure)

    def refusal(self) -> StoreError | None:
        """Return the error that senders got last if the disk is full, until one succeeds or is to come back; else None.

        A full disk may have room for a test write, and not for a signal.
        """
        at, error = self._refusal or (0.0, None)
        return error if error and self._now() - at < error.retry_after else None

    def close(self) -> threading.Thread:
        """Refuse further operations. Return the thread, which ends once all that waits is written."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._batching.close()
        return self._thread

    def _settle(self, operations: Sequence[Operation], answers: Sequence[Any], took: float | None) -> None:
        if operations[0].priority is Priority.ACK:  # a transaction is all ACK, or not at all
            self._waiting_senders -= len(operations)
        settle(operations, answers)
        if took is not None:
            self.on_commit(len(operations), took)

    def _give_up(self, reason: str, in_hand: Sequence[Operation]) -> None:
        """Fail everything after the thread's end.

        Race: operations submitted since then are in the queue. Later ones are refused by `submit`, which runs on the
        event loop too.
        """
        self._failure = reason
        waiting = [*in_hand]
        while not self._queue.empty():
            if (operation := self._queue.get()) is not None:
                waiting.append(operation)
        settle(waiting, [StoreError(reason) for _ in waiting])
        if not self._ended.done():
            self._ended.set_result(StoreError(reason))
        self.on_failure()

    # -- on the writer's thread

    def _run(self) -> None:
        try:
            run_first()
            for operations in self._batching.batches():
                self._in_hand = operations
                operations.sort(key=lambda operation: self._rank[operation.step])
                # Senders' operations have a transaction of their own: a transaction of deliveries may be long.
                for senders in (True, False):
                    if some := [op for op in operations if (op.priority is Priority.ACK) is senders]:
                        self._write(some)
                self._in_hand = []
                self._after_batch(self._db)
            self._db.close()
        except BaseException as error:
            self._end(error)

    def _end(self, error: BaseException) -> None:
        """Tell the event loop that the thread ends.

        Some operations in hand may be committed: senders send them again.
        """
        reason = describe_failure(error)
        # First the callers: without memory, for instance, the rest of this may fail too.
        self._tell(self._give_up, f"the store's writer has ended: {reason}", self._in_hand)
        # Names and lines only: the traceback's text may contain values.
        frames = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        log.critical("store.writer_ended", reason=reason, at=frames[-3:], operations=len(self._in_hand))
        with contextlib.suppress(Exception):
            self._db.close()

    def _write(self, operations: Sequence[Operation]) -> None:
        """Write and answer. If the transaction fails, halve it until the row to blame fails alone."""
        began = time.perf_counter()
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
            took = time.perf_counter() - began
            try:
                found = read(answers)
            except Exception as error:  # committed already: not to be written again
                self._fail(operations, error)
            else:
                if operations[0].priority is Priority.ACK:
                    self._refusal = None
                self._resolve(operations, found, took)

    def _transact(self, operations: Sequence[Operation]) -> list[Answers]:
        self._begin()
        try:
            self._before(self._db, [operation.item for operation in operations])
            answers = self._run_steps(operations)
            self._commit()
        except BaseException:
            self._rollback()
            raise
        if operations[0].priority is Priority.ACK:
            # Of the others, a claim that is committed must be answered: nobody would deliver what it has leased.
            self._confirm()
        return answers

    def _begin(self) -> None:
        self._db.begin()

    def _run_steps(self, operations: Sequence[Operation]) -> list[Answers]:
        groups = itertools.groupby(operations, key=lambda operation: operation.step)
        return [step(self._db, [operation.item for operation in group]) for step, group in groups]

    def _commit(self) -> None:
        self._db.commit()

    def _rollback(self) -> None:
        """Roll back. A connection that stayed inside its transaction would fail every later BEGIN: it is ended."""
        try:
            self._db.rollback()
        except Exception:
            try:
                self._leave_transaction(self._db)
            except Exception as error:
                raise ConnectionStuck(describe_failure(error)) from error

    def _fail(self, operations: Sequence[Operation], error: Exception) -> None:
        failure = describe_failure(error)
        log.error("store.write_failed", reason=failure, operations=len(operations))
        if operations[0].priority is Priority.ACK and is_disk_full(error):
            self._refusal = self._now(), write_error(failure, error)
        self._resolve(operations, [write_error(failure, error) for _ in operations])
        self._tell(self.on_failure)

    def _resolve(self, operations: Sequence[Operation], answers: Sequence[Any], took: float | None = None) -> None:
        """Answer all operations in one call on the event loop. A loop that is gone does no harm: the write stands.

        `took` is the time (s) of the transaction, None if it failed.
        """
        self._tell(self._settle, operations, answers, took)

    def _tell(self, call: Callable[..., None], *values: Any) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *values)


def run_first() -> None:
    """Let the calling thread run before the process's others, if the system allows it.

    Root may do so, and others within RLIMIT_NICE. Only Linux has a niceness for each thread.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            nice = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(-20, nice - NICENESS_GAIN))


def do_nothing(*values: object) -> None:
    """Stand in for a callback that nobody has set."""


def read(answers: Iterable[Answers]) -> list[Any]:
    """Return one answer for each operation, of all steps."""
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
