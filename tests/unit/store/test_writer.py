"""Group commit: waiting operations are written together, and one that fails, fails alone."""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from peewee import Database, OperationalError, SqliteDatabase
from structlog.testing import capture_logs

import gateway.store.batching
from gateway.errors import StoreBusy, StoreError
from gateway.store.batching import RUSH, Priority
from gateway.store.operations import Step
from gateway.store.sqlite.dialect import SqliteDialect
from gateway.store.writer import NICENESS_GAIN, Writer

pytestmark = pytest.mark.gen_test


class Steps:
    """Steps that write a row for each item;

    "bad" breaks a rule of the table. Blocks the thread while `gate` is shut.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.held = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.calls: list[tuple[str, list[str]]] = []
        self.fault: BaseException | None = None

    def first(self, db: Database, items: Sequence[str]) -> list[str]:
        return self.write(db, "first", items)

    def second(self, db: Database, items: Sequence[str]) -> list[str]:
        return self.write(db, "second", items)

    def hold(self, db: Database, items: Sequence[str]) -> list[str]:
        self.loop.call_soon_threadsafe(self.held.set)
        self.gate.wait()
        return list(items)

    def write(self, db: Any, name: str, items: Sequence[str]) -> list[str]:
        self.calls.append((name, list(items)))
        if self.fault:
            raise self.fault
        for item in items:
            db.execute_sql("INSERT INTO rows VALUES (?)", (None if item == "bad" else item,))
        return [f"{name} {item}" for item in items]


class CountingWriter(Writer):
    """A writer that lists the beginnings and ends of its transactions in `events`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.events: list[str] = []
        self.broken_commits: Iterator[bool] = itertools.repeat(False)
        super().__init__(*args, **options)

    def _begin(self) -> None:
        self.events.append("begin")
        super()._begin()

    def _commit(self) -> None:
        if next(self.broken_commits):
            raise OperationalError("the disk is gone")
        super()._commit()
        self.events.append("commit")

    def _rollback(self) -> None:
        super()._rollback()
        self.events.append("rollback")


@contextmanager
def writing(
    folder: Path, steps: Steps, limit: int = 100, first: Step | None = None, **options: Any
) -> Iterator[CountingWriter]:
    """A writer on a table of one column, closed in the end."""
    db = SqliteDatabase(str(folder / "rows.db"), thread_safe=False, check_same_thread=False)
    db.connect()
    db.execute_sql("CREATE TABLE IF NOT EXISTS rows (name TEXT NOT NULL)")
    order = (steps.hold, first or steps.first, steps.second)
    writer = CountingWriter(db, order, limit, asyncio.get_running_loop(), **options)
    try:
        yield writer
    finally:
        steps.gate.set()
        writer.close().join()


def rows(folder: Path) -> list[str]:
    connection = sqlite3.connect(folder / "rows.db")
    try:
        return [name for (name,) in connection.execute("SELECT name FROM rows ORDER BY rowid")]
    finally:
        connection.close()


async def hold(writer: Writer, steps: Steps) -> asyncio.Future[Any]:
    """Keep the thread busy, so that the next operations wait together."""
    steps.gate.clear()
    held = writer.submit(steps.hold, "")
    await steps.held.wait()
    return held


async def test_a_step_without_a_rank_is_refused_and_ends_nothing(tmp_path: Path) -> None:
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        with pytest.raises(TypeError, match=r"Steps\.write is no step of this writer: add it to order_of_steps"):
            writer.submit(steps.write, "a")  # type: ignore[arg-type]
        assert await writer.submit(steps.first, "b") == "first b"


async def test_waiting_operations_share_a_transaction_in_the_order_of_the_steps(tmp_path: Path) -> None:
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        held = await hold(writer, steps)
        waiting = [
            writer.submit(steps.second, "a"),
            writer.submit(steps.first, "b"),
            writer.submit(steps.second, "c"),
            writer.submit(steps.first, "d"),
        ]
        steps.gate.set()
        assert await asyncio.gather(held, *waiting) == ["", "second a", "first b", "second c", "first d"]
        assert steps.calls == [("first", ["b", "d"]), ("second", ["a", "c"])]
        assert writer.events == ["begin", "commit"] * 2
    assert rows(tmp_path) == ["b", "d", "a", "c"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness for each thread")
async def test_the_thread_gets_priority_if_the_system_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(os, "setpriority", lambda *values: asked.append(values))
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        await writer.submit(steps.first, "a")
        assert asked == [
            (os.PRIO_PROCESS, writer._thread.native_id, max(-20, os.getpriority(os.PRIO_PROCESS, 0) - NICENESS_GAIN))
        ]


async def test_a_thread_without_priority_writes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*values: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        assert await writer.submit(steps.first, "a") == "first a"


async def test_patient_operations_wait_for_others_after_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.store.batching, "GATHER_SECONDS", 3600.0)
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        assert await writer.submit(steps.first, "a", Priority.PATIENT) == "first a"
        waiting = [writer.submit(steps.first, name, Priority.PATIENT) for name in "bc"]
        assert await asyncio.gather(writer.submit(steps.second, "d"), *waiting) == ["second d", "first b", "first c"]
        assert steps.calls == [("first", ["a"]), ("first", ["b", "c"]), ("second", ["d"])]
        assert writer.events == ["begin", "commit"] * 2


async def test_under_a_rush_accepts_wait_for_the_senders_of_the_last_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.store.batching, "GATHER_SECONDS", 3600.0)
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        senders = [writer.submit(steps.first, f"{n:02}", Priority.ACK) for n in range(RUSH)]
        await asyncio.gather(*senders)
        back = [writer.submit(steps.first, f"{n:02}", Priority.ACK) for n in range(RUSH, RUSH + 3)]
        while writer._queue.qsize() != 2:  # the thread has the first of them, and waits
            await asyncio.sleep(0)
        back += [writer.submit(steps.first, f"{n:02}", Priority.ACK) for n in range(RUSH + 3, 2 * RUSH)]
        await asyncio.gather(*back)
        assert [len(items) for _, items in steps.calls] == [RUSH, RUSH]


async def test_after_a_rush_no_sender_waits_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.store.batching, "GATHER_SECONDS", 0.01)
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        await asyncio.gather(*(writer.submit(steps.first, f"{n:02}", Priority.ACK) for n in range(RUSH)))
        for name in ("a", "b"):
            assert await writer.submit(steps.first, name, Priority.ACK) == f"first {name}"


async def test_the_end_of_a_rush_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.store.batching, "GATHER_SECONDS", 3600.0)
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        await asyncio.gather(*(writer.submit(steps.first, f"{n:02}", Priority.ACK) for n in range(RUSH)))
        writer.submit(steps.first, "last", Priority.ACK)
    assert "last" in rows(tmp_path)


async def test_the_end_does_not_wait_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.store.batching, "GATHER_SECONDS", 3600.0)
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        await writer.submit(steps.first, "a", Priority.PATIENT)
        writer.submit(steps.first, "b", Priority.PATIENT)
    assert rows(tmp_path) == ["a", "b"]


async def test_a_bad_row_fails_alone_in_few_transactions(tmp_path: Path) -> None:
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        held = await hold(writer, steps)
        waiting = [writer.submit(steps.first, "bad" if n == 37 else f"{n:02}") for n in range(64)]
        steps.gate.set()
        await held
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert writer.events.count("begin") <= 2 + 2 * 6
    failure = answers.pop(37)
    assert isinstance(failure, StoreError)
    assert str(failure) == "the store could not write: NOT NULL constraint failed: rows.name"
    assert failure.__cause__ is not None
    assert answers == [f"first {n:02}" for n in range(64) if n != 37]
    assert rows(tmp_path) == [f"{n:02}" for n in range(64) if n != 37]


async def test_a_failure_of_the_disk_is_not_retried(tmp_path: Path) -> None:
    steps = Steps()
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    with writing(tmp_path, steps) as writer:
        held = await hold(writer, steps)
        steps.fault = OperationalError(full, *full.args)
        waiting = [writer.submit(steps.first, str(n)) for n in range(8)]
        steps.gate.set()
        await held
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert {str(answer) for answer in answers} == {"the store could not write: database or disk is full"}
        assert len(set(map(id, answers))) == 8
        assert len(steps.calls) == 1
        steps.fault = None
        assert await writer.submit(steps.first, "after") == "first after"
    assert rows(tmp_path) == ["after"]


async def test_a_full_disk_is_told_until_a_sender_succeeds_or_is_to_come_back(tmp_path: Path) -> None:
    """A test write of a page may succeed meanwhile, and says nothing about a signal."""
    now = [0.0]
    steps = Steps()
    with writing(tmp_path, steps, now=lambda: now[0]) as writer:

        async def fails(fault: sqlite3.Error, code: int) -> StoreError | None:
            fault.sqlite_errorcode = code
            steps.fault = fault
            with pytest.raises(StoreError):
                await writer.submit(steps.first, "refused", Priority.ACK)
            steps.fault = None
            return writer.refusal()

        assert await fails(sqlite3.OperationalError("disk I/O error"), sqlite3.SQLITE_IOERR) is None
        refusal = await fails(sqlite3.OperationalError("database or disk is full"), sqlite3.SQLITE_FULL)
        assert str(refusal) == "the store could not write: database or disk is full"
        await writer.submit(steps.second, "a result")
        assert writer.refusal() is refusal
        now[0] = StoreError().retry_after
        assert writer.refusal() is None
        now[0] = 0.0
        await writer.submit(steps.first, "a signal", Priority.ACK)
        assert writer.refusal() is None


async def test_a_locked_database_fails_the_write_in_the_end(tmp_path: Path) -> None:
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        writer._db.execute_sql("PRAGMA busy_timeout = 1")
        other = sqlite3.connect(tmp_path / "rows.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="database is locked"):
            await writer.submit(steps.first, "a")
        other.execute("COMMIT")
        other.close()
        assert await writer.submit(steps.first, "b") == "first b"


async def test_a_commit_that_fails_is_no_commit(tmp_path: Path) -> None:
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        writer.broken_commits = iter([True, False])
        with pytest.raises(StoreError):
            await writer.submit(steps.first, "a")
        assert writer.events == ["begin", "rollback"]
        assert await writer.submit(steps.first, "b") == "first b"
    assert rows(tmp_path) == ["b"]


async def test_answers_may_be_read_after_the_commit(tmp_path: Path) -> None:
    steps = Steps()

    def late(db: Database, items: Sequence[str]) -> Callable[[], list[str]]:
        answers = steps.write(db, "late", items)
        return lambda: [f"{answer}, {writer.events[-1]}" for answer in answers]

    with writing(tmp_path, steps, first=late) as writer:
        held = await hold(writer, steps)
        waiting = [writer.submit(step, name) for step, name in [(late, "a"), (steps.second, "b")]]
        steps.gate.set()
        assert await asyncio.gather(held, *waiting) == ["", "late a, commit", "second b"]
        assert steps.calls == [("late", ["a"]), ("second", ["b"])]


async def test_a_committed_batch_is_not_written_again_if_its_answers_cannot_be_read(tmp_path: Path) -> None:
    steps = Steps()

    def unreadable(db: Database, items: Sequence[str]) -> Callable[[], list[str]]:
        steps.write(db, "unreadable", items)
        return lambda: [items[len(items)]]

    with writing(tmp_path, steps, first=unreadable) as writer:
        held = await hold(writer, steps)
        waiting = [writer.submit(unreadable, name) for name in "abc"]
        steps.gate.set()
        await held
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(answer) for answer in answers] == ["the store could not write: IndexError"] * 3
        assert await writer.submit(steps.second, "d") == "second d"
    assert rows(tmp_path) == ["a", "b", "c", "d"]


async def test_an_error_that_may_hold_values_is_not_repeated(tmp_path: Path) -> None:
    steps = Steps()
    steps.fault = ValueError("s3cret")
    with writing(tmp_path, steps) as writer:
        with pytest.raises(StoreError) as caught:
            await writer.submit(steps.first, "a")
        assert str(caught.value) == "the store could not write: ValueError"


async def test_the_queue_is_bounded_for_senders(tmp_path: Path) -> None:
    steps = Steps()
    with writing(tmp_path, steps, limit=2) as writer:
        held = await hold(writer, steps)
        waiting = [writer.submit(steps.first, name, Priority.ACK) for name in "ab"]
        with pytest.raises(StoreBusy):
            writer.submit(steps.first, "c", Priority.ACK)
        waiting.append(writer.submit(steps.first, "d"))
        steps.gate.set()
        await asyncio.gather(held, *waiting)
        assert await writer.submit(steps.first, "e", Priority.ACK) == "first e"
    assert rows(tmp_path) == ["a", "b", "d", "e"]


async def test_closing_writes_waiting_operations(tmp_path: Path) -> None:
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        await hold(writer, steps)
        waiting = [writer.submit(steps.first, str(n)) for n in range(5)]
        thread = writer.close()
        with pytest.raises(StoreError, match="closed"):
            writer.submit(steps.first, "late")
        steps.gate.set()
        assert await asyncio.gather(*waiting) == [f"first {n}" for n in range(5)]
        assert writer.close() is thread
    assert rows(tmp_path) == [str(n) for n in range(5)]


async def test_a_batch_is_answered_in_one_call_and_cancelled_operations_are_skipped(tmp_path: Path) -> None:
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        held = await hold(writer, steps)
        waiting = [writer.submit(steps.first, str(n)) for n in range(3)]
        waiting[1].cancel()
        steps.gate.set()
        await held
        await waiting[0]
        assert waiting[2].done()
        assert waiting[1].cancelled()
    assert rows(tmp_path) == ["0", "1", "2"]


async def test_senders_operations_have_a_transaction_of_their_own_before_the_others(tmp_path: Path) -> None:
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        held = await hold(writer, steps)
        waiting = [writer.submit(steps.first, "result"), writer.submit(steps.second, "signal", Priority.ACK)]
        writer.events.clear()
        steps.gate.set()
        await asyncio.gather(held, *waiting)
        assert steps.calls == [("second", ["signal"]), ("first", ["result"])]
        assert writer.events == ["commit", *["begin", "commit"] * 2]  # the first is of what held the thread
    assert rows(tmp_path) == ["signal", "result"]


async def end_of(writer: Writer, waiting: Sequence[asyncio.Future[Any]]) -> str:
    """Return the message of the unexpected end. All waiting and later operations must fail with it."""
    message = str(await writer.ended())
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {(type(answer), str(answer)) for answer in answers} == {(StoreError, message)}
    assert str(writer.failure()) == message
    for priority in Priority:
        with pytest.raises(StoreError) as caught:
            writer.submit(writer.kept, "late", priority)  # type: ignore[attr-defined]
        assert str(caught.value) == message
    return message


@pytest.mark.parametrize("fault", [SystemExit(), KeyboardInterrupt(), GeneratorExit()], ids=repr)
async def test_a_step_that_ends_the_thread_fails_waiting_and_later_operations(
    tmp_path: Path, fault: BaseException
) -> None:
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        writer.kept = steps.first  # type: ignore[attr-defined]
        assert writer.failure() is None
        held = await hold(writer, steps)
        steps.fault = fault
        waiting = [writer.submit(steps.first, "a", Priority.ACK), writer.submit(steps.second, "b")]
        with capture_logs() as logs:
            steps.gate.set()
            await held
            assert await end_of(writer, waiting) == f"the store's writer has ended: {type(fault).__name__}"
            writer.close().join()
        [line] = [line for line in logs if line["event"] == "store.writer_ended"]
        assert (line["log_level"], line["operations"]) == ("critical", 2)
    assert rows(tmp_path) == []


async def test_an_error_outside_the_transaction_ends_the_thread_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        writer.kept = steps.first  # type: ignore[attr-defined]
        told = asyncio.Event()
        writer.on_failure = told.set
        held = await hold(writer, steps)

        def fail(*values: Any) -> None:
            raise MemoryError

        waiting = [writer.submit(steps.first, "a"), writer.submit(steps.first, "b", Priority.PATIENT)]
        monkeypatch.setattr(writer, "_resolve", fail)
        steps.gate.set()
        assert await end_of(writer, [held, *waiting]) == "the store's writer has ended: MemoryError"
        await told.wait()
    assert rows(tmp_path) == []


async def test_an_operation_after_the_threads_end_is_answered(tmp_path: Path) -> None:
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        steps.fault = SystemExit()
        first = writer.submit(steps.first, "a")
        writer._thread.join()  # blocks the event loop, which has not heard of the end yet
        second = writer.submit(steps.first, "b")
        answers = await asyncio.gather(first, second, return_exceptions=True)
        assert {str(answer) for answer in answers} == {"the store's writer has ended: SystemExit"}


def fail_to_roll_back(monkeypatch: pytest.MonkeyPatch, writer: Writer, steps: Steps) -> None:
    """Make the next step fail, and the rollback after it."""

    def fail() -> None:
        monkeypatch.undo()
        raise OperationalError("no rollback")

    monkeypatch.setattr(writer._db, "rollback", fail)
    steps.fault = OperationalError("no write")


async def test_a_rollback_that_fails_leaves_no_transaction_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps()
    with writing(tmp_path, steps, leave_transaction=SqliteDialect().leave_transaction) as writer:
        fail_to_roll_back(monkeypatch, writer, steps)
        with pytest.raises(StoreError, match="no write"):
            await writer.submit(steps.first, "a")
        steps.fault = None
        assert await writer.submit(steps.first, "b") == "first b"
    assert rows(tmp_path) == ["b"]


async def test_a_connection_that_stays_in_its_transaction_ends_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stay(db: Database) -> None:
        raise OperationalError("stuck")

    steps = Steps()
    with writing(tmp_path, steps, leave_transaction=stay) as writer:
        writer.kept = steps.first  # type: ignore[attr-defined]
        fail_to_roll_back(monkeypatch, writer, steps)
        waiting = [writer.submit(steps.first, "a")]
        assert await end_of(writer, waiting) == "the store's writer has ended: ConnectionStuck"


async def test_closing_is_no_unexpected_end(tmp_path: Path) -> None:
    steps = Steps()
    with writing(tmp_path, steps) as writer:
        writer.close().join()
        await asyncio.sleep(0)
        assert writer.failure() is None
