"""Runs a gateway as its users do: in its own process, on a configuration in a folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """Return a free port of 127.0.0.1. No other process of the tests is given the same, on this machine."""
    for port in _ports:
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


def _own_ports() -> Iterator[int]:
    """Yield ports below those that the system uses for connections.

    A hundred ports belong to the process that bound the first of them, until it ends.
    """
    bound = []
    for first in range(10_000, 32_700, 100):
        mark = socket.socket()
        try:
            mark.bind(("127.0.0.1", first))
        except OSError:
            mark.close()
            continue
        bound.append(mark)
        yield from range(first + 1, first + 100)


_ports = _own_ports()


def run_cli(
    *words: str, cwd: Path, env: Mapping[str, str] | None = None, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run a `cloudsignal` command to its end."""
    return subprocess.run(
        [python, "-m", "gateway", *words],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def copy_checkout(target: Path) -> None:
    """Copy the project's own files, without results of builds and runs."""
    left_out = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "data", "exports")
    shutil.copytree(ROOT, target, ignore=left_out)


def environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **(extra or {})}


class Gateway:
    """`cloudsignal serve` in `directory`, on the `gateway.yaml` there. `log` has the output of all its runs.

    The command is `python -m`, `program`, `serve`, `words`. `descriptors` is its limit of open files, if given.
    """

    def __init__(
        self,
        directory: Path,
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = ("gateway",),
        python: str = sys.executable,
        words: Sequence[str] = (),
        descriptors: int | None = None,
    ) -> None:
        self._words = words
        self._descriptors = descriptors
        self._program = program
        self._python = python
        self.log = directory / "gateway.log"
        self.url = ""
        self.admin_url = ""
        self._directory = directory
        self._env = environment(env)
        self._process: subprocess.Popen[str] | None = None
        self._pump: threading.Thread | None = None
        self._logged = threading.Condition()

    def start(self, fault: tuple[str, int] | None = None) -> None:
        """Start, and wait until it accepts signals. With a `fault`, see tests.support.faults, it may die first."""
        program = ["tests.support.faults", fault[0], str(fault[1])] if fault else self._program
        command = [self._python, "-m", *program, "serve", "--config", "gateway.yaml", *self._words]
        if self._descriptors:
            command = ["prlimit", f"--nofile={self._descriptors}:{self._descriptors}", *command]
        self._process = subprocess.Popen(
            command, cwd=self._directory, env=self._env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        started: Future[dict[str, str]] = Future()
        self._pump = threading.Thread(target=self._write_log, args=(self._process, started), daemon=True)
        self._pump.start()
        found = started.result(timeout=60)
        assert found or fault, f"the gateway did not start:\n{self.log.read_text()}"
        self.url, self.admin_url = found.get("url", ""), found.get("admin", "")

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait(self) -> int:
        """Wait until it ends by itself, and return its exit code."""
        return self._end(None)

    def _write_log(self, process: subprocess.Popen[str], started: Future[dict[str, str]]) -> None:
        """Copy the process's output, so that it never blocks, until a line says that it is up."""
        assert process.stderr is not None
        with self.log.open("a") as log:
            for line in process.stderr:
                with self._logged:
                    log.write(line)
                    log.flush()
                    self._logged.notify_all()
                if '"gateway.started"' in line and not started.done():
                    started.set_result(json.loads(line))
        if not started.done():
            started.set_result({})

    def wait_for_log(self, text: str, count: int = 1, seconds: float = 60.0) -> None:
        """Wait until so many lines of the log have this text."""
        with self._logged:
            found = self._logged.wait_for(lambda: self.log.read_text().count(text) >= count, seconds)
        assert found, f"the log has no {count} x {text}:\n{self.log.read_text()}"

    def kill(self) -> None:
        """Send SIGKILL, which ends it at once."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Send SIGTERM and return its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals | None) -> int:
        process, self._process = self._process, None
        assert process is not None
        assert self._pump is not None
        if number is not None:
            process.send_signal(number)
        code = process.wait(timeout=60)
        self._pump.join()
        assert process.stderr is not None
        process.stderr.close()
        return code

    def __enter__(self) -> Gateway:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None:
            self.kill()
