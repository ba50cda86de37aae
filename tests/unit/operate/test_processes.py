"""SIGHUP is only sent to a gateway."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.errors import GatewayError, StoreError
from gateway.operate import processes
from gateway.store import Settings, serving_process
from gateway.store.sqlite.lock import ServingLock


@pytest.mark.parametrize(
    "command",
    [
        ["/opt/venv/bin/python3.11", "/opt/venv/bin/cloudsignal", "serve", "--config", "x"],
        ["python", "-m", "gateway", "serve", "--worker", "1"],
        ["cloudsignal", "serve"],
        ["python", "-m", "my.wrapper", "serve"],
    ],
)
def test_a_gateway_is_known_by_its_command(command: Sequence[str]) -> None:
    processes.require_gateway(7, command)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([], "there is no process 7"),
        (["/bin/sleep", "60", "--password=x"], "process 7 is sleep, and no gateway; nothing was sent"),
        (["cloudsignal", "simulate"], "process 7 is cloudsignal, and no gateway; nothing was sent"),
        (["nginx", "serve"], "process 7 is nginx, and no gateway; nothing was sent"),
        (["vim", "/home/me/gateway/serve.py"], "process 7 is vim, and no gateway; nothing was sent"),
    ],
)
def test_another_process_is_named(command: Sequence[str], message: str) -> None:
    with pytest.raises(GatewayError) as caught:
        processes.require_gateway(7, command)
    assert str(caught.value) == message


def test_the_gateway_on_a_file_is_its_locks_owner(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    path.touch()
    config: Any = SimpleNamespace(store=Settings(f"sqlite:///{path}"))
    with pytest.raises(GatewayError, match="no gateway is running on sqlite"):
        processes.find_process(config, os.getpid())
    lock = ServingLock(path)
    lock.mark()
    try:
        assert processes.find_process(config) == processes.find_process(config, os.getpid()) == os.getpid()
        with pytest.raises(GatewayError, match=f"is process {os.getpid()}, not 1; nothing was sent"):
            processes.find_process(config, 1)
    finally:
        lock.release()


def test_a_lock_that_can_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> int:
        raise PermissionError(13, "Permission denied", f"{path}.lock")

    monkeypatch.setattr("gateway.store.serving_pid", refuse)
    with pytest.raises(StoreError, match=r"can't tell if a gateway is running: /data/g\.db\.lock: Permission denied"):
        serving_process(Settings("sqlite:////data/g.db"))
