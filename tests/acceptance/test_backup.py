"""Backup beside a running gateway, restore, and what is refused."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.postgres import Server
from tests.support.scene import Scene
from tests.unit.store.test_checkpoint import count

QUIET = {"bookshop": {"erp": "sink: recorder, signals: [ItemError], options: {file: erp.jsonl}"}}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, QUIET)


def rest_of(folder: Path, copy: str = "copy.db") -> list[str]:
    """Return the names of unfinished copies and of companions of the copy."""
    return [path.name for path in folder.iterdir() if ".part" in path.name or path.name.startswith(f"{copy}-")]


def test_a_backup_under_load_is_whole_and_can_be_restored(scene: Scene) -> None:
    backup = scene.folder / "copy.db"
    done = threading.Event()
    numbers = iter(range(10_000))

    def send() -> None:
        while not done.is_set():
            assert scene.send(next(numbers)).code == 200

    with scene.running():
        for _ in range(20):
            scene.send(next(numbers))
        sender = threading.Thread(target=send)
        sender.start()
        says = scene.cli("backup", "copy.db")
        done.set()
        sender.join()
        assert ", and each is accounted for; " in says
        kept = count(Path(shutil.copy(backup, scene.folder / "look.db")))
        assert 20 <= kept <= next(numbers)
        assert "another gateway is using" in scene.cli("restore", "copy.db", code=1)
    assert backup.stat().st_mode & 0o777 & ~0o640 == 0
    assert rest_of(scene.folder) == []
    all_signals = count(scene.store)
    says = scene.cli("restore", "copy.db")
    assert f"restored, {kept} signals, and each is accounted for" in says
    assert "gateway.db.replaced-1. It may have signals that the backup lacks." in says
    assert count(scene.folder / "gateway.db.replaced-1") == all_signals
    with scene.running():
        assert scene.rows("SELECT count(*) FROM signals") == [(kept,)]
        scene.send(next(numbers))
    assert not scene.logged("store.check_started")
    assert f"{kept + 1} signals, and each is accounted for." in scene.cli("audit")


def test_a_backup_replaces_no_file_without_being_asked(scene: Scene) -> None:
    with scene.running():
        scene.send(1)
        [row] = scene.cli_json("backup", "copy.db")
        assert row == {
            "file": str(scene.folder / "copy.db"),
            "bytes": (scene.folder / "copy.db").stat().st_size,
            "ok": True,
            "signals": 1,
            "wrong": 0,
            "kept": None,
        }
        scene.send(2)
        assert "copy.db is there already" in scene.cli("backup", "copy.db", code=1)
        assert count(Path(shutil.copy(scene.folder / "copy.db", scene.folder / "look.db"))) == 1
        assert "2 signals" in scene.cli("backup", "copy.db", "--force")
        assert "is the store itself" in scene.cli("backup", "./gateway.db", "--force", code=1)
        (scene.folder / "link.db").symlink_to("gateway.db")
        assert "is the store itself" in scene.cli("backup", "link.db", "--force", code=1)
        assert "is a folder" in scene.cli("backup", ".", code=1)
        assert "No such file or directory" in scene.cli("backup", "nowhere/copy.db", code=1)
        scene.check_custody_of_signals()


def test_there_is_nothing_to_back_up(scene: Scene) -> None:
    assert f"there is no store at {scene.store}" in scene.cli("backup", "copy.db", code=1)
    assert sorted(path.name for path in scene.folder.glob("*.db*")) == []


def test_a_killed_gateways_store_is_backed_up_with_its_log(scene: Scene) -> None:
    with scene.running() as gateway:
        for number in range(5):
            scene.send(number)
        gateway.kill()
    assert "5 signals, and each" in scene.cli("backup", "copy.db")


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\x07" * 4096 * 4)


def make_damaged(scene: Scene, path: Path) -> None:
    scene.cli("backup", path.name)
    damage(path)


def make_other(scene: Scene, path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE other (n)")


WRONG: dict[str, tuple[Callable[[Scene, Path], object], str]] = {
    "missing": (lambda scene, path: None, "there is no backup at"),
    "plain-copy-of-a-store-in-use": (lambda scene, path: shutil.copy(scene.store, path), "made without its -wal"),
    "damaged": (make_damaged, "malformed"),
    "empty": (lambda scene, path: path.touch(), "no store"),
    "another-file": (lambda scene, path: path.write_bytes(b"x" * 5000), "file is not a database"),
    "another-database": (make_other, "no store"),
    "a-folder": (lambda scene, path: path.mkdir(), "there is no backup at"),
}


@pytest.fixture(scope="module")
def with_wrong_backups(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Return a scene that has run, with each wrong backup in its folder."""
    scene = Scene(tmp_path_factory.mktemp("wrong"), QUIET)
    with scene.running():
        scene.send(1)
        for name, (make, _) in WRONG.items():
            make(scene, scene.folder / name)
    return scene


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_backup_changes_nothing(with_wrong_backups: Scene, wrong: str) -> None:
    scene = with_wrong_backups
    before = scene.store.read_bytes()
    assert WRONG[wrong][1] in scene.cli("restore", wrong, code=1)
    assert scene.store.read_bytes() == before
    assert list(scene.folder.glob("*.replaced*")) == []
    assert rest_of(scene.folder, wrong) == []


@pytest.mark.parametrize("state", ["none", "emptied", "log only", "crashed", "garbage"])
def test_a_backup_is_restored_over_whatever_is_left(scene: Scene, state: str) -> None:
    with scene.running() as gateway:
        scene.send(1)
        scene.cli("backup", "copy.db")
        scene.send(2)
        if state != "none":
            gateway.kill()
    if state in ("none", "log only"):
        scene.store.unlink()
    elif state == "emptied":
        os.truncate(scene.store, 0)
    elif state == "garbage":
        scene.store.write_bytes(b"garbage" * 1000)
    (scene.folder / "copy.db").chmod(0o400)
    says = scene.cli("restore", "copy.db")
    assert ("replaced-1" in says) is (state != "none")
    if state == "crashed":  # its log is kept with it
        assert count(scene.folder / "gateway.db.replaced-1") == 2
    with scene.running():
        scene.resend(2)
        assert scene.rows("SELECT count(*) FROM signals") == [(2,)]
    assert not scene.logged("store.check_started")


def test_a_postgresql_has_tools_of_its_own(tmp_path: Path, postgres: Server) -> None:
    scene = Scene(tmp_path)
    config = tmp_path / "gateway.yaml"
    url = "postgresql://gate:s3cret@db.example:5433/my%20db"
    config.write_text(config.read_text().replace("sqlite:///gateway.db", url))
    says = scene.cli("backup", "a copy.dump", code=1)
    options = "--host=db.example --port=5433 --username=gate"
    assert says.endswith(f"  pg_dump --format=custom {options} 'my db' --file='a copy.dump'\n")
    says = scene.cli("restore", "copy.dump", code=1)
    assert f"pg_restore --clean --if-exists --single-transaction {options} --dbname='my db' copy.dump" in says
    assert "s3cret" not in says
