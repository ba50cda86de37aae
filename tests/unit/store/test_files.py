"""The files of a store are closed to strangers, whatever the umask, and existing ones are closed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.store.sqlite import files
from tests.support.stores import run_on_store


def modes(folder: Path) -> dict[str, str]:
    return {path.name: f"{path.stat().st_mode & 0o777:o}" for path in sorted(folder.iterdir())}


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_files_and_folders_are_closed_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    folder = tmp_path / "a" / "b"
    found = run_on_store(f"sqlite:///{folder}/gateway.db", lambda _: modes(folder), exclusive=True)
    of_group = f"{0o640 & ~umask:o}"
    assert found == {
        "gateway.db": of_group,
        "gateway.db-shm": of_group,
        "gateway.db-wal": of_group,
        "gateway.db.lock": "600",
    }
    assert [f"{path.stat().st_mode & 0o777:o}" for path in (folder, folder.parent)] == [f"{0o750 & ~umask:o}"] * 2


def test_existing_files_are_closed_and_a_folder_that_was_there_is_left(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    run_on_store(f"sqlite:///{path}")
    tmp_path.chmod(0o777)
    for mode, closed in ((0o666, "640"), (0o644, "640"), (0o777, "640"), (0o600, "600"), (0o640, "640")):
        path.chmod(mode)
        run_on_store(f"sqlite:///{path}")
        assert modes(tmp_path)["gateway.db"] == closed
    assert tmp_path.stat().st_mode & 0o777 == 0o777


def test_a_file_of_another_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gateway.db"
    path.touch(0o644)
    path.chmod(0o644)

    def refuse(path: Path, mode: int) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", refuse)
    with capture_logs() as logs:
        files.make_private(path)
    assert [(line["event"], line["mode"]) for line in logs] == [("store.file_open_to_others", "0644")]
