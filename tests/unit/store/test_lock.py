"""The lock of the process that serves from a database."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import StoreError, StoreInUse
from gateway.store import Settings, serving_process
from gateway.store.sqlite.lock import ServingLock
from tests.support.stores import run_on_store


def test_the_serving_process_is_known_while_it_serves(tmp_path: Path) -> None:
    settings = Settings(f"sqlite:///{tmp_path}/gateway.db")
    assert serving_process(settings) is None
    lock = ServingLock(tmp_path / "gateway.db")
    assert serving_process(settings) is None  # it has not begun
    lock.mark()
    assert serving_process(settings) == os.getpid()
    assert serving_process(settings) == os.getpid()
    lock.release(in_order=True)
    assert serving_process(settings) is None


def test_a_killed_run_is_no_process_to_talk_to(tmp_path: Path) -> None:
    lock = ServingLock(tmp_path / "gateway.db")
    lock.mark()
    lock.release()
    assert (tmp_path / "gateway.db.lock").read_text().strip() == str(os.getpid())
    assert serving_process(Settings(f"sqlite:///{tmp_path}/gateway.db")) is None


def test_a_lock_that_can_not_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="can't tell if a gateway is running"):
        serving_process(Settings(f"sqlite:///{tmp_path}/file/gateway.db"))


def test_a_server_has_no_serving_process() -> None:
    assert serving_process(Settings("postgresql://user@host/db")) is None


# -- other names of one file


def link_to(make: Callable[[Path, Path], object]) -> Callable[[Path], Path]:
    def other(path: Path) -> Path:
        make(path.with_name("other.db"), path)
        return path.with_name("other.db")

    return other


def through_a_linked_folder(path: Path) -> Path:
    folder = path.parent.with_name("linked")
    folder.symlink_to(path.parent)
    return folder / path.name


def linked_twice(path: Path) -> Path:
    return link_to(Path.symlink_to)(through_a_linked_folder(path))


NAMES: dict[str, Callable[[Path], Path]] = {
    "itself": lambda path: path,
    "relative": lambda path: Path(os.path.relpath(path)),
    "dots": lambda path: path.parent / ".." / path.parent.name / "." / path.name,
    "symbolic link": link_to(Path.symlink_to),
    "relative symbolic link": link_to(lambda link, path: link.symlink_to(path.name)),
    "hard link": link_to(Path.hardlink_to),
    "linked folder": through_a_linked_folder,
    "link in a linked folder": linked_twice,
    "/proc": lambda path: Path(f"/proc/self/cwd/{os.path.relpath(path)}"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_store_is_locked_under_each_of_its_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / "store" / "gateway.db"
    path.parent.mkdir()
    run_on_store(f"sqlite:///{path}")
    other = NAMES[name](path)
    for first, second in ((path, other), (other, path)):
        lock = ServingLock(first)
        with pytest.raises(StoreInUse, match=f"another gateway is using {re.escape(str(second))}"):
            ServingLock(second)
        lock.release()


def test_a_link_to_a_store_that_is_not_made_yet_locks_that_store(tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to("gateway.db")
    lock = ServingLock(link)
    with pytest.raises(StoreInUse):
        ServingLock(tmp_path / "gateway.db")
    lock.release()


def test_another_store_in_the_same_folder_is_free(tmp_path: Path) -> None:
    locks = [ServingLock(tmp_path / name) for name in ("gateway.db", "other.db")]
    for lock in locks:
        lock.release()


def test_a_loop_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.db").symlink_to("b.db")
    (tmp_path / "b.db").symlink_to("a.db")
    with pytest.raises(StoreError, match=r"can't open the store .*a\.db"):
        run_on_store(f"sqlite:///{tmp_path}/a.db", exclusive=True)
