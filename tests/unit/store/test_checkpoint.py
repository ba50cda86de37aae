"""Checkpoints, and the mark by which a copy of a store without its log is recognised."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peewee import OperationalError
from structlog.testing import capture_logs

from gateway.errors import StoreCorrupt
from gateway.store import Settings, Store, open_store
from gateway.store.sqlite import checkpoint
from gateway.store.sqlite import open as opening
from gateway.store.sqlite.checkpoint import belongs, following
from gateway.store.values import Filter
from tests.contract.store_case import accept, numbered
from tests.support.stores import run_on_store

ENDS = ("", "-wal", "-shm")


def copy(path: Path, folder: str | Path, ends: tuple[str, ...] = ENDS) -> Path:
    """Copy some of a store's files as an operator does, into a folder of their own, beside the store or anywhere."""
    folder = path.parent / folder
    folder.mkdir(parents=True)
    for end in ends:
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(f"{path}{end}", f"{folder}/{path.name}{end}")
    return folder / path.name


def count(path: Path) -> int:
    """Return the number of signals in a store."""
    return int(run_and_wait(path, lambda store: store.count_signals(Filter())))


def run_and_wait(path: Path, work: Callable[[Store], Any], **options: Any) -> Any:
    async def run() -> Any:
        store = open_store(Settings(f"sqlite:///{path}"), **options)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


async def send(store: Store, numbers: range) -> None:
    await asyncio.gather(*(accept(store, numbered(number), ("erp",)) for number in numbers))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy the log after few pages."""
    monkeypatch.setattr(checkpoint, "FRAMES", 20)


# -- copies


@pytest.mark.usefixtures("short")
def test_a_copy_without_its_log_is_refused_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    sizes = []

    async def serve(store: Store) -> None:
        for turn in range(12):
            await store.check_writable()  # its turn comes after a checkpoint: no file changes from here on
            alone = copy(path, f"alone-{turn}", ("",))
            sizes.append(alone.stat().st_size)
            with pytest.raises(StoreCorrupt, match=r"is a copy of a store in use, made without its -wal"):
                await asyncio.to_thread(count, alone)
            assert await asyncio.to_thread(count, copy(path, f"whole-{turn}")) == turn * 5
            await send(store, range(turn * 5, turn * 5 + 5))

    run_and_wait(path, serve, exclusive=True)
    assert sizes[-1] > sizes[0]  # the log was copied into the database meanwhile
    assert count(copy(path, "stopped", ("",))) == 60


def test_a_copy_by_sqlite_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"

    async def serve(store: Store) -> None:
        await send(store, range(5))
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(f"VACUUM INTO '{tmp_path}/vacuumed.db'")
            with contextlib.closing(sqlite3.connect(tmp_path / "backup.db")) as backup:
                db.backup(backup)

    run_and_wait(path, serve, exclusive=True)
    assert [count(tmp_path / name) for name in ("vacuumed.db", "backup.db")] == [5, 5]


def test_a_copy_can_be_opened_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    copies = []

    async def serve(store: Store) -> None:
        await send(store, range(5))
        copies.append(copy(path, "alone", ("",)))

    run_and_wait(path, serve, exclusive=True)
    with contextlib.closing(sqlite3.connect(copies[0])) as db:
        db.execute("PRAGMA user_version = 0")
    assert count(copies[0]) == 0


def test_a_backup_in_place_beside_an_old_log_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    run_on_store(f"sqlite:///{path}", exclusive=True)
    backup = copy(path, "backup", ("",))
    crashed = []

    async def serve(store: Store) -> None:
        await send(store, range(5))
        crashed.append(copy(path, "crashed"))

    run_and_wait(path, serve, exclusive=True)
    path = crashed[0]
    shutil.copy(backup, path)
    before = [Path(f"{path}{end}").read_bytes() for end in ("", "-wal")]
    for exclusive in (True, False):
        with pytest.raises(StoreCorrupt, match="not of one time"):
            run_on_store(f"sqlite:///{path}", exclusive=exclusive)
    assert [Path(f"{path}{end}").read_bytes() for end in ("", "-wal")] == before
    Path(f"{path}-wal").unlink()
    assert count(path) == 0


# -- crashes


def crash_at_each_step(path: Path, folder: Path, numbers: range) -> list[Path]:
    """Serve from a store, and return copies of its files before and after each statement of its checkpoints."""
    crashed: list[Path] = []
    execute = checkpoint.execute

    def crash(db: Any, text: str, *values: Any) -> Any:
        crashed.append(copy(path, folder / f"{len(crashed)}-before"))
        found = execute(db, text, *values)
        crashed.append(copy(path, folder / f"{len(crashed)}-after"))
        return found

    async def serve(store: Store) -> None:
        for start in range(numbers.start, numbers.stop, 10):
            await send(store, range(start, start + 10))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "execute", crash)
        run_and_wait(path, serve, exclusive=True)
    return crashed


@pytest.mark.usefixtures("short")
def test_a_crash_at_any_step_of_a_checkpoint_leaves_a_whole_store(tmp_path: Path) -> None:
    crashed = crash_at_each_step(tmp_path / "gateway.db", tmp_path / "crashed", range(40))
    assert len(crashed) > 12
    for each in crashed:
        copy(each, each.parent / "again")
    counts = [count(each) for each in crashed]
    assert counts == sorted(counts)
    assert counts[-1] >= 30
    for each in crashed:  # a command has opened and closed the store meanwhile
        run_on_store(f"sqlite:///{each}", exclusive=True)
    for number, each in enumerate(crashed):
        assert_serves(each.parent / "again" / each.name, counts[number])


@pytest.mark.usefixtures("short")
def test_a_second_crash_at_any_step_leaves_a_whole_store(tmp_path: Path) -> None:
    crashed = crash_at_each_step(tmp_path / "gateway.db", tmp_path / "crashed", range(20))
    for number, each in enumerate(crashed):
        signals = count(copy(each, each.parent / "counted"))
        for again in crash_at_each_step(each, tmp_path / f"again-{number}", range(100, 100)):
            assert_serves(again, signals)


def assert_serves(path: Path, signals: int) -> None:
    """Check that a gateway starts on a store and finds its files sound, and that it takes one more signal."""

    async def serve(store: Store) -> int:
        await send(store, range(1000, 1001))
        return await store.count_signals(Filter())

    assert run_and_wait(path, serve, exclusive=True) == signals + 1


def test_numbers_and_marks_that_belong_together() -> None:
    number = following(0)
    assert following(number) == number + 1
    assert following(checkpoint.NUMBERS - 1) == 1
    whole, in_use, upcoming = 2 * number, 2 * number + 1, 2 * following(number) + 1
    for raw, seen in ((in_use, whole), (in_use, upcoming), (upcoming, upcoming), (whole, whole), (0, in_use), (0, 0)):
        assert belongs(raw, seen)
    for raw, seen in ((in_use, upcoming - 1), (whole, upcoming + 1), (0, whole), (upcoming, whole), (in_use, 0)):
        assert not belongs(raw, seen)


# -- the log's size


@pytest.mark.usefixtures("short")
def test_a_log_that_grew_behind_a_long_reader_shrinks_when_the_reader_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gateway.db"
    log = Path(f"{path}-wal")
    monkeypatch.setattr(opening, "WRITER_PRAGMAS", {**opening.WRITER_PRAGMAS, "journal_size_limit": 100_000})

    async def serve(store: Store) -> tuple[int, int]:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM signals").fetchall()
            for start in range(0, 400, 10):
                await send(store, range(start, start + 10))
            grown = log.stat().st_size
            reader.execute("COMMIT")
        for start in range(400, 460, 10):
            await send(store, range(start, start + 10))
        return grown, log.stat().st_size

    grown, left = run_and_wait(path, serve, exclusive=True)
    assert grown > 500_000
    assert left <= 200_000


def test_a_checkpoint_by_another_process_is_made_good(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"

    async def serve(store: Store) -> None:
        await send(store, range(3))
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        await send(store, range(3, 6))
        await store.check_writable()  # its turn comes after the checkpoint
        with pytest.raises(StoreCorrupt, match="made without its -wal"):
            await asyncio.to_thread(count, copy(path, "alone", ("",)))

    run_and_wait(path, serve, exclusive=True)


@pytest.mark.usefixtures("short")
def test_a_log_copied_by_another_process_after_a_long_reader_is_no_foreign_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gateway.db"
    execute = checkpoint.execute

    async def serve(store: Store) -> None:
        with (
            contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as reader,
            contextlib.closing(sqlite3.connect(path, check_same_thread=False)) as other,
        ):

            def copy_after(db: Any, text: str, *values: Any) -> Any:
                found = execute(db, text, *values)
                if "wal_checkpoint" in text and reader.in_transaction:
                    reader.execute("COMMIT")
                    other.execute("PRAGMA wal_checkpoint(PASSIVE)")
                return found

            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM signals").fetchall()
            monkeypatch.setattr(checkpoint, "execute", copy_after)
            for start in range(0, 40, 10):
                await send(store, range(start, start + 10))
            await store.check_writable()
            assert not reader.in_transaction
            assert await asyncio.to_thread(count, copy(path, "whole")) == 40

    run_and_wait(path, serve, exclusive=True)


@pytest.mark.usefixtures("short")
def test_a_checkpoint_that_fails_is_told_once_and_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gateway.db"
    execute = checkpoint.execute

    def fail(db: Any, text: str, *values: Any) -> Any:
        if "wal_checkpoint" in text:
            raise OperationalError("database or disk is full")
        return execute(db, text, *values)

    async def serve(store: Store) -> None:
        monkeypatch.setattr(checkpoint, "execute", fail)
        for start in range(0, 30, 10):
            await send(store, range(start, start + 10))
        await store.check_writable()

    with capture_logs() as logs:
        run_and_wait(path, serve, exclusive=True)
    assert [line["event"] for line in logs].count("store.checkpoint_failed") == 1
    monkeypatch.undo()
    assert Path(f"{path}-wal").exists()  # the mark at its end says that the next start needs it
    assert count(path) == 30
    run_on_store(f"sqlite:///{path}", exclusive=True)
    assert not Path(f"{path}-wal").exists()
