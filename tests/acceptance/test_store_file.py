"""The store's file is removed, moved, replaced or cut under a running gateway: no signal is answered 200 and lost."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.payloads import KEY
from tests.support.process import Gateway
from tests.support.scene import Scene, wait_until

CSV = "recorder, csv"
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()
STORE = Path("data/gateway.db")


def files_of(path: Path) -> list[Path]:
    return [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))]


def remove_all(path: Path) -> None:
    for file in files_of(path):
        file.unlink()


def replace(path: Path) -> None:
    """Put another store in its place, as a restore beside a running gateway does."""
    other = path.with_name("other.db")
    with closing(sqlite3.connect(path)) as db, closing(sqlite3.connect(other)) as copy:
        db.backup(copy)
    other.replace(path)


def make_anew(path: Path) -> None:
    """Remove the store and make another one at once."""
    remove_all(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = wal")
        db.execute("CREATE TABLE other (n)")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 8192 * 4096)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def checkpoint(path: Path) -> None:
    """Copy the log into the database, so that the database has a size that can be cut."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")


LOSSES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "all files removed": (remove_all, "gateway.db", "removed or moved"),
    "the database removed": (Path.unlink, "gateway.db", "removed or moved"),
    "the database moved": (lambda path: path.rename(path.with_name("away.db")), "gateway.db", "removed or moved"),
    "the database replaced": (replace, "gateway.db", "replaced"),
    "another made in its place": (make_anew, "gateway.db", "replaced"),
    "the folder renamed": (lambda path: path.parent.rename(path.parent.with_name("old")), "gateway.db", "removed"),
    "the folder removed": (lambda path: shutil.rmtree(path.parent), "gateway.db", "removed or moved"),
    "the database cut": (cut, "gateway.db", "was cut"),
    "the database emptied": (empty, "gateway.db", "was cut"),
    "the log removed": (lambda path: files_of(path)[1].unlink(), "gateway.db-wal", "removed or moved"),
    "the log emptied": (lambda path: empty(files_of(path)[1]), "gateway.db-wal", "was cut"),
    "the log's index removed": (lambda path: files_of(path)[2].unlink(), "gateway.db-shm", "removed or moved"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_file_is_told_and_no_signal_goes_into_it(tmp_path: Path, loss: str) -> None:
    lose, name, reason = LOSSES[loss]
    scene = Scene(tmp_path, store=STORE)
    with scene.running():
        scene.send(1)
        scene.wait_for_delivery()
        checkpoint(scene.store)
        scene.send(2)
        scene.wait_for_delivery()
        lose(scene.store)
        assert scene.send(3).code == 503
        code, checks = scene.ready()
        assert code == 503
        assert str(scene.store.with_name(name)) in checks["store"]
        assert reason in checks["store"]
        [line] = scene.logged("store.file_lost", level="error")
        assert str(scene.store.with_name(name)) in line["reason"]
        assert scene.send(4).code == 503


def test_an_idle_gateway_tells_it_too(tmp_path: Path) -> None:
    scene = Scene(tmp_path, store=STORE)
    with scene.running():
        scene.send(1)
        scene.wait_for_delivery()
        remove_all(scene.store)
        wait_until(lambda: scene.logged("store.file_lost"), 60, "the log to tell")


@pytest.mark.parametrize("what", ["files", "folder"])
def test_what_is_put_back_is_gone_on_with(tmp_path: Path, what: str) -> None:
    scene = Scene(tmp_path, store=STORE)
    with scene.running():
        scene.send(1)
        moved = [scene.store.parent] if what == "folder" else files_of(scene.store)
        for path in moved:
            path.rename(path.with_name(f"away-{path.name}"))
        assert scene.send(2).code == 503
        for path in moved:
            path.with_name(f"away-{path.name}").rename(path)
        scene.resend(2)
        wait_until(lambda: scene.logged("store.file_back"), 60, "the log to tell")
        assert scene.ready()[0] == 200
        scene.check_custody()


def test_a_log_that_was_removed_loses_nothing_even_if_the_gateway_is_killed(tmp_path: Path) -> None:
    scene = Scene(tmp_path, store=STORE)
    with scene.running() as gateway:
        for number in range(5):
            scene.send(number)
        files_of(scene.store)[1].unlink()
        assert scene.send(6).code == 503
        wait_until(lambda: scene.logged("store.log_saved"), 60, "the log to be saved")
        gateway.kill()
    with scene.running():
        scene.resend(6)
        scene.check_custody()


def test_the_stop_leaves_the_successors_files_alone(tmp_path: Path) -> None:
    """A second gateway serves a new store at this path by then, and SQLite removes a -wal by name."""
    first = Scene(tmp_path, store=STORE)
    (tmp_path / "second").mkdir()
    second = Scene(tmp_path / "second", store=first.store)
    old = tmp_path / "old"
    with first.running():
        first.send(1)
        first.store.parent.rename(old)
        with second.running():
            second.send(2)
            assert first.gateway.terminate() == 0
            assert files_of(second.store)[1].exists()
            second.send(3)
            second.check_custody()
    first.store = old / "gateway.db"
    first.check_custody_of_signals()


@pytest.mark.parametrize("rest", ["-wal", ""])
def test_a_start_on_what_is_left_is_refused_and_loses_nothing(tmp_path: Path, rest: str) -> None:
    scene = Scene(tmp_path, store=STORE)
    with scene.running() as gateway:
        scene.send(1)
        gateway.kill()
    kept_log = files_of(scene.store)[1].read_bytes()
    if rest:
        scene.store.unlink()
    else:
        empty(scene.store)
        files_of(scene.store)[1].unlink()
    for _ in range(2):
        says = scene.refused_start()
        assert says.startswith(f"can't open the store {STORE}: ")
        assert ("has signals" if rest else "was emptied") in says
    if rest:
        assert files_of(scene.store)[1].read_bytes() == kept_log


def test_commands_beside_a_gateway_that_was_killed_before_leave_its_log(tmp_path: Path) -> None:
    """Closing any handle of the database drops SQLite's locks, and then a command would take the log away."""
    scene = Scene(tmp_path, store=STORE)
    for number in range(3):
        with scene.running() as gateway:
            log = files_of(scene.store)[1].stat().st_ino
            scene.send(number)
            assert "each is accounted for" in scene.cli("audit")
            assert files_of(scene.store)[1].stat().st_ino == log
            scene.send(number + 10)
            gateway.kill()
    with scene.running():
        scene.check_custody()
    assert not scene.logged("store.file_lost")


# -- copies and places


def test_a_copy_of_a_running_gateways_file_is_not_called_whole(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    scene, copy = Scene(tmp_path, store=STORE), Scene(tmp_path / "copy", plugins=CSV)
    with scene.running():
        for number in range(5):
            scene.send(number)
        shutil.copy(scene.store, copy.store)
        for command in ("audit", "signals", "export"):
            assert "made without its -wal" in copy.cli(command, code=1)
        assert "made without its -wal" in copy.refused_start()
    shutil.copy(scene.store, copy.store)
    assert "5 signals, and each is accounted for." in copy.cli("audit")


READERS = ("audit", "signals", "deliveries", "dead", "routes", "quarantine", "export", "purge --dry-run", "show 1")


@pytest.mark.parametrize("store", ["gateway.db", "data/deep/gateway.db", "empty.db", "other.db", "dangling.db"])
def test_a_command_makes_no_store(tmp_path: Path, store: str) -> None:
    scene = Scene(tmp_path, store=Path(store), plugins=CSV)
    (tmp_path / "empty.db").touch()
    (tmp_path / "dangling.db").symlink_to("nowhere.db")
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE other (n)")
    before = {path: path.lstat().st_size for path in tmp_path.rglob("*.db*")}
    for command in READERS if store == "data/deep/gateway.db" else READERS[:1]:
        says = scene.cli(*command.split(), code=1)
        assert ("has no store" if store == "other.db" else f"no store at {tmp_path / store}") in says
    assert {path: path.lstat().st_size for path in tmp_path.rglob("*.db*")} == before
    assert not (tmp_path / "data").exists()


def test_a_start_logs_where_its_configuration_and_store_are(tmp_path: Path) -> None:
    scene = Scene(tmp_path, store=STORE)
    with scene.running():
        [started] = scene.logged("gateway.started")
        assert started["store"] == str(scene.store)
        assert started["config"] == str(tmp_path / "gateway.yaml")
        assert [line["store"] for line in scene.logged("store.created")] == [str(scene.store)]


def test_a_tilde_is_the_home_folder_in_every_path(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "key").write_text("a-key-from-the-home-folder-1")
    scene = Scene(
        tmp_path,
        {"bookshop": {"export": "sink: csv, options: {directory: ~/exports}"}},
        store=Path("~/data/gateway.db"),
        plugins=CSV,
    )
    config = tmp_path / "gateway.yaml"
    keys = f"keys: [!file ~/key, {{sha256: {DIGEST!r}}}]"
    config.write_text(re.sub(r"keys: \[.*\]", keys, config.read_text()))
    scene.env["HOME"] = str(tmp_path / "home")
    scene.gateway = Gateway(tmp_path, scene.env)
    scene.store = tmp_path / "home" / "data" / "gateway.db"
    with scene.running():
        scene.send(1)
        scene.wait_for_delivery()
        assert list((tmp_path / "home" / "exports").iterdir())
        assert "each is accounted for" in scene.cli("audit")
    assert not (tmp_path / "~").exists()
