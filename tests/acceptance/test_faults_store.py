"""Faults of the store: locked, damaged, or used by another process. The promises hold, and each fault is reported."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import disk
from tests.support.process import free_port
from tests.support.scene import Scene

QUIET = {"bookshop": {"erp": "sink: recorder, signals: [ItemError], options: {file: erp.jsonl}"}}
"""A route that wants none of the signals sent here, so that each accepted signal is the only transaction."""


def lock(path: Path) -> sqlite3.Connection:
    """Open a transaction like another process's, which keeps out every other writer until it is closed."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    return other


def test_a_store_locked_for_long_by_another_process(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.running():
        scene.send(1)
        scene.wait_for_delivery()
        with closing(lock(scene.store)):
            with ThreadPoolExecutor() as senders:
                answers = [senders.submit(scene.send, number) for number in (2, 3)]
                code, checks = scene.ready()
                assert (code, checks["store"]) == (503, "the store could not write within 3 s")
            assert 503 in {answer.result().code for answer in answers}
            assert scene.metric("cloudsignal_store_failures_total") >= 1
            assert scene.logged("store.write_failed", reason="database is locked")
        for number in (2, 3, 4):
            scene.resend(number)
        scene.check_custody()
        assert scene.ready()[0] == 200


def test_a_store_locked_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.running():
        other = lock(scene.store)
        free = threading.Timer(1.0, other.close)
        free.start()
        assert scene.send(1).code == 200
        free.join()
        scene.check_custody()
    assert not scene.logged("store.write_failed")


# -- a damaged tail of the write-ahead log


class Wal:
    """The write-ahead log of a killed gateway, see https://sqlite.org/fileformat.html#the_write_ahead_log."""

    HEADER, FRAME = 32, 24

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + "-wal")
        data = self.path.read_bytes()
        (page,) = struct.unpack_from(">I", data, 8)
        salts, size = data[16:24], self.FRAME + page
        self.commits: list[int] = []
        """Return the offset of each transaction's end."""
        for start in range(self.HEADER, len(data) - size + 1, size):
            if data[start + 8 : start + 16] != salts:
                break
            if struct.unpack_from(">I", data, start + 4)[0]:
                self.commits.append(start + size)

    def append(self, size: int) -> None:
        """Append an unfinished frame."""
        self.cut(self.commits[-1])
        with self.path.open("ab") as file:
            file.write(b"\x5a" * size)

    def cut(self, at: int) -> None:
        os.truncate(self.path, at)

    def scratch(self, at: int) -> None:
        """Overwrite the eight bytes before an offset."""
        with self.path.open("r+b") as file:
            file.seek(at - 8)
            file.write(b"\xffdamage\xff")


TAILS: dict[str, tuple[Callable[[Wal], None], int]] = {
    "a transaction that was never finished": (lambda wal: wal.append(2000), 0),
    "the last transaction, cut short": (lambda wal: wal.cut(wal.commits[-1] - 5), 1),
    "the last transaction, with wrong bytes": (lambda wal: wal.scratch(wal.commits[-1]), 1),
    "the last three, as the first of them has wrong bytes": (lambda wal: wal.scratch(wal.commits[-3]), 3),
}
"""Kinds of damage, each with the number of last transactions that it takes."""


@pytest.mark.parametrize("tail", TAILS)
def test_a_damaged_tail_loses_its_signals_and_none_before_it(tmp_path: Path, tail: str) -> None:
    """Damage after the last commit loses nothing. If the disk has lost synced data, all signals before the damage are
    kept, none is kept incompletely, and a retry of a lost one is accepted as new."""
    damage, lost = TAILS[tail]
    scene = Scene(tmp_path, QUIET)
    with scene.running() as gateway:
        for number in range(8):
            assert scene.send(number).code == 200
        gateway.kill()
    damage(Wal(scene.store))
    with scene.running():
        kept = [int(item) for (item,) in scene.rows("SELECT item FROM signals ORDER BY id")]
        assert kept == list(range(8 - lost))
        assert scene.logged("store.check_ended", result="sound")
        for number in range(8):
            scene.send(number)
        scene.check_custody_of_signals()


# -- damage


def damaged(scene: Scene) -> None:
    """Overwrite the root page of a table, as a disk does that writes to a wrong place."""
    ((page, number),) = scene.rows(
        "SELECT (SELECT page_size FROM pragma_page_size), rootpage FROM sqlite_master WHERE name = 'quarantine'"
    )
    with closing(sqlite3.connect(scene.store)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with scene.store.open("r+b") as file:
        file.seek((number - 1) * page)
        file.write(b"\x07" * page)


def test_a_damaged_store_is_refused_after_a_crash_and_a_restored_one_accepted(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.running() as gateway:
        scene.send(1)
        scene.wait_for_delivery()
        gateway.kill()
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(scene.store)) as db, closing(sqlite3.connect(backup)) as copy:
        db.backup(copy)
    damaged(scene)
    found = scene.store.read_bytes()
    for _ in range(2):
        says = scene.refused_start()
        assert says.startswith("the store gateway.db is damaged: ")
        assert "Keep a copy" in says
        assert ".recover" in says
    assert scene.store.read_bytes() == found
    for path in (scene.store, *tmp_path.glob("gateway.db-*")):
        path.unlink()
    shutil.copy(backup, scene.store)
    with scene.running():
        scene.send(2)
        scene.check_custody()


def test_a_long_check_continues_after_the_start_and_ends_a_damaged_run(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.running() as gateway:
        scene.send(1)
        scene.wait_for_delivery()
        gateway.kill()
    damaged(scene)
    scene.world.set(check=2.0)
    with scene.running() as gateway:
        assert scene.logged("store.check_continues")
        assert scene.send(2).code == 200
        assert gateway.wait() == 1
    assert scene.logged("gateway.stopped")
    (ended,) = scene.logged("store.check_ended", level="error")
    assert ended["result"] != "sound"
    assert "the store gateway.db is damaged" in gateway.log.read_text()
    scene.world.set()
    assert "is damaged" in scene.refused_start()


def test_a_store_is_checked_after_a_crash_and_only_then(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    checks = []
    for end in ("terminate", "kill", "terminate", "terminate"):
        with scene.running() as gateway:
            getattr(gateway, end)()
        checks.append(len(scene.logged("store.check_ended", result="sound")))
    assert checks == [0, 0, 1, 1]


# -- starts that fail


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    port = free_port()
    first, second = (Scene(tmp_path / name, port=port) for name in make(tmp_path, "first", "second"))
    with first.running():
        assert second.refused_start() == f"can't listen on 127.0.0.1:{port}: Address already in use"
        first.send(1)
        first.check_custody()
    with second.running():  # the failed start has released everything
        pass
    assert not second.logged("store.check_started")


def test_a_store_that_another_gateway_uses(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.running():
        says = scene.refused_start()
        assert says == "another gateway is using gateway.db: stop it, or give this one a store of its own"
        scene.send(1)
        scene.check_custody()


@pytest.mark.parametrize("make_link", [Path.symlink_to, Path.hardlink_to])
def test_a_link_to_a_store_that_another_gateway_uses(tmp_path: Path, make_link: Callable[[Path, Path], object]) -> None:
    first, second = (Scene(tmp_path / name) for name in make(tmp_path, "first", "second"))
    with first.running():
        first.send(1)
        make_link(second.store, first.store)
        assert second.refused_start().startswith("another gateway is using gateway.db: ")
        first.send(2)
        first.check_custody()
        assert set(first.recorded().values()) == {1}


@pytest.mark.skipif(not disk.may_mount() and "CI" not in os.environ, reason="we may not mount here")
def test_a_mounted_file_that_another_gateway_uses(tmp_path: Path) -> None:
    first, second = (Scene(tmp_path / name) for name in make(tmp_path, "first", "second"))
    second.store.touch()
    with first.running():
        first.send(1)
        disk.run("mount", "--bind", first.store, second.store)
        try:
            assert second.refused_start().startswith("another gateway is using gateway.db: ")
        finally:
            disk.run("umount", "--lazy", second.store)
        first.check_custody()


def test_all_that_a_gateway_writes_is_closed_to_strangers(tmp_path: Path) -> None:
    csv = "sink: csv, options: {directory: exports/bookshop}"
    scene = Scene(tmp_path, {"bookshop": {"export": csv}}, store=Path("data/gateway.db"), plugins="recorder, csv")
    before = os.umask(0)
    try:
        with scene.running():
            scene.send(1)
            scene.wait_for_delivery()
            scene.cli("export", "--output", "all.csv")
            written = [path for top in ("data", "exports", "all.csv") for path in walk(tmp_path / top)]
            assert len(written) >= 8
            for path in written:
                assert path.stat().st_mode & 0o777 & ~(0o750 if path.is_dir() else 0o640) == 0, path
    finally:
        os.umask(before)


def walk(top: Path) -> list[Path]:
    return [top, *top.rglob("*")]


def make(folder: Path, *names: str) -> tuple[str, ...]:
    for name in names:
        (folder / name).mkdir()
    return names


def test_a_missing_folder_of_the_store_is_made(tmp_path: Path) -> None:
    scene = Scene(tmp_path, store=Path("var/lib/gateway.db"))
    with scene.running():
        scene.send(1)
        scene.check_custody()


@pytest.mark.parametrize(
    ("store", "reason"),
    [("gateway.yaml/gateway.db", "Not a directory"), ("/proc/gateway/gateway.db", "No such file or directory")],
)
def test_a_folder_that_can_not_be_made_or_written(tmp_path: Path, store: str, reason: str) -> None:
    says = Scene(tmp_path, store=Path(store)).refused_start()
    assert says.startswith(f"can't open the store {store}: ")
    assert reason in says or "File exists" in says


@pytest.mark.parametrize("stored", [b"", b"no database " * 500])
def test_a_file_that_is_not_a_store(tmp_path: Path, stored: bytes) -> None:
    scene = Scene(tmp_path)
    scene.store.write_bytes(stored)
    if stored:
        assert scene.refused_start() == "can't open the store gateway.db: file is not a database"
        assert scene.store.read_bytes() == stored
        return
    with scene.running():
        for number in itertools.islice(itertools.count(), 3):
            scene.send(number)
        scene.check_custody()
