"""Commands in processes of their own: output that can't be encoded or written, imports, other processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.operate import processes
from gateway.store import Settings, Store
from gateway.store.values import Refused
from tests.support.factory import make_signal
from tests.support.folder import Folder
from tests.support.stores import run_on_store

COMMANDS = ["signals", "show 1", "signals --json", "quarantine --json"]
ALL = ["signals", "quarantine --json", "--help", "export", "keys new"]
FULL = Path("/dev/full")
POSTGRES: Any = SimpleNamespace(store=Settings("postgresql://u@127.0.0.1/db"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    run_on_store("sqlite:///gateway.db")  # commands make no store
    return Folder(tmp_path)


@pytest.fixture
def umlauts(folder: Folder) -> Folder:
    async def fill(store: Store) -> None:
        signal = make_signal("ItemError", account="bookshop", order_reference="BÜRO-1", cause="jam \U0001f600")
        await store.accept(replace(signal, order_reference="BÜRO-1"), [], [], False)
        await store.quarantine(Refused("bookshop", 1.0, '{"order": "BÜRO-2 \U0001f600"}', {"type": "is missing"}))

    folder.fill(fill)
    return folder


def run(folder: Folder, words: str, encoding: str = "utf-8", **options: Any) -> subprocess.CompletedProcess[bytes]:
    environ = {**os.environ, "PYTHONIOENCODING": encoding, "CLOUDSIGNAL_CONFIG": "gateway.yaml"}
    options = {"stdout": subprocess.PIPE, "timeout": 60, **options}
    command = [sys.executable, "-m", "gateway", *words.split()]
    return subprocess.run(command, check=False, cwd=folder.path, env=environ, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize(
    ("words", "encoding"),
    [*((words, "ascii") for words in COMMANDS), ("show 1", "latin-1"), ("signals --json", "latin-1")],
)
def test_a_character_that_the_encoding_lacks_is_escaped(umlauts: Folder, words: str, encoding: str) -> None:
    result = run(umlauts, words, encoding)
    assert (result.returncode, result.stderr) == (0, b"")
    text = result.stdout.decode(encoding.partition(":")[0])
    if "--json" in words:
        assert "BÜRO" in json.dumps([json.loads(line) for line in text.splitlines()], ensure_ascii=False)
    else:
        assert ("BÜRO" if encoding == "latin-1" else "B\\xdcRO") in text


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("words", ALL)
def test_a_full_disk_is_told(umlauts: Folder, words: str) -> None:
    with FULL.open("wb") as full:
        result = run(umlauts, words, stdout=full)
    assert result.returncode == 1
    assert result.stderr.decode().splitlines()[-1] == "the output can't be written: No space left on device"
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize("words", ["signals --json", "export"])
def test_a_reader_that_left_ends_a_command_quietly(umlauts: Folder, words: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = run(umlauts, words, stdout=writing)
    os.close(writing)
    assert result.returncode == 1
    assert b"Traceback" not in result.stderr
    assert b"rror" not in result.stderr


@pytest.mark.parametrize("words", ["signals", "export"])
def test_a_closed_output_is_told(umlauts: Folder, words: str) -> None:
    result = run(umlauts, words, preexec_fn=lambda: os.close(1))
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.decode().splitlines()[-1].startswith("the output can't be written: ")
    assert b"Traceback" not in result.stderr


def test_commands_start_without_the_clients_of_sinks() -> None:
    """They take a third of the start of each command."""
    code = "import gateway.cli, sys; print({'aiohttp', 'slack_sdk'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_real_process_is_looked_at() -> None:
    # nohup and some services begin the tests with SIGHUP ignored
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); print('ready', flush=True); input()"
    command = [sys.executable, "-c", code, "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        try:
            with pytest.raises(GatewayError, match=f"process {other.pid} is python.*, and no gateway"):
                processes.find_process(POSTGRES, other.pid)
        finally:
            other.kill()
    with pytest.raises(GatewayError, match="there is no process"):
        processes.find_process(POSTGRES, other.pid)
    with pytest.raises(GatewayError, match="name the gateway's process"):
        processes.find_process(POSTGRES)
