"""The lock of the process that serves from a database."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.store import Settings, serving_process
from gateway.store.sqlite.lock import ServingLock


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
