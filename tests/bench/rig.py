"""Parts that the benches share: a server on a core of its own, its CPU time and memory, and the conditions."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tornado
from prometheus_client.parser import text_string_to_metric_families

from gateway.cli.serve import find_loop_factory
from tests.support import payloads, post
from tests.support.process import ROOT, environment, free_port

Routes = Mapping[str, Mapping[str, Any]]
"""An account's routes, by name, as the configuration has them."""
SERVE = ("gateway", "serve", "--config", "gateway.yaml")
Tenants = Mapping[str, Mapping[str, Routes]]
"""Accounts by tenant, routes by account."""
STARTED = '"gateway.started"'
ANY_CORE = -1


class Server:
    """A process pinned to one core, or ANY_CORE, from its start. Its output goes to `server.log` in its directory."""

    def __init__(self, command: Sequence[str], core: int, directory: Path) -> None:
        self._log = directory / "server.log"
        self._from = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as output:
            self._spawned = time.perf_counter()
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=directory,
                env=with_sinks(directory),
                stdout=output,
                stderr=output,
            )
        if core != ANY_CORE:
            os.sched_setaffinity(self.pid, {core})  # before it has threads, which inherit it

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for_port(self, port: int) -> None:
        """Wait until it listens."""
        self._wait(lambda: can_connect(port), 0.1)

    def wait_for_line(self, text: str = STARTED) -> float:
        """Wait until its output has a line with this text, and return the seconds since its start."""
        self._wait(lambda: text in self.written(), 0.005)
        return time.perf_counter() - self._spawned

    def written(self) -> str:
        """Return its output so far."""
        with self._log.open("rb") as log:
            log.seek(self._from)
            return log.read().decode(errors="replace")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _wait(self, until: Callable[[], bool], pause: float) -> None:
        deadline = time.monotonic() + 120
        while not until():
            if self._process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the server did not start:\n{self.written()[-2000:]}")
            time.sleep(pause)


@contextmanager
def serving(command: Sequence[str], port: int, core: int, directory: Path) -> Iterator[Server]:
    """Run a server, and yield it when it listens."""
    server = Server(command, core, directory)
    try:
        server.wait_for_port(port)
        yield server
    finally:
        server.stop()


@contextmanager
def running(*words: object, directory: Path = ROOT) -> Iterator[subprocess.Popen[bytes]]:
    """Run another process for the duration of a turn. It chooses its core itself."""
    command = [sys.executable, "-m", *map(str, words)]
    process = subprocess.Popen(command, cwd=directory, env=with_sinks(directory), stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def targeting(port: int, *words: object) -> Iterator[None]:
    """Run a target of deliveries, and yield it when it listens: without one a gateway would open its breakers."""
    with running("tests.bench.target", "--port", port, *words):
        deadline = time.monotonic() + 30
        while not can_connect(port):
            if time.monotonic() > deadline:
                sys.exit("the target does not listen")
            time.sleep(0.05)
        yield


def with_sinks(directory: Path) -> dict[str, str]:
    """Return an environment in which the sinks that `write_config` installed in the directory are known."""
    return environment({"PYTHONPATH": f"{ROOT}:{directory.resolve() / 'path'}"})


def can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def folder(parent: Path) -> Iterator[Path]:
    """Yield a directory for one turn."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as name:
        yield Path(name)


# -- a gateway


class Ports:
    """Return the address at which a gateway listens."""

    def __init__(self) -> None:
        self.public, self.admin = free_port(), free_port()

    @classmethod
    def of(cls, public: int, admin: int) -> Ports:
        """Return the ports of a gateway that was configured elsewhere."""
        ports = cls()
        ports.public, ports.admin = public, admin
        return ports

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.public}"


def write_config(
    directory: Path,
    tenants: Mapping[str, Mapping[str, Routes]],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Ports:
    """Write a gateway's configuration: tenants, their accounts with the keys of `payloads`, and their routes.

    `settings` adds to some accounts. It is JSON, which is YAML too."""
    ports = Ports()
    post.install(directory / "path")
    main = {
        "server": {"listen": f"127.0.0.1:{ports.public}"},
        "admin": {"listen": f"127.0.0.1:{ports.admin}"},
        "store": {"url": "sqlite:///gateway.db"},
        "plugins": ["csv", "post"],
        "include": [f"{name}.yaml" for name in tenants],
    }
    (directory / "gateway.yaml").write_text(json.dumps(main))
    for tenant, accounts in tenants.items():
        text = {
            name: {"keys": [payloads.key_of(name)], "routes": routes, **(settings or {}).get(name, {})}
            for name, routes in accounts.items()
        }
        (directory / f"{tenant}.yaml").write_text(json.dumps({"tenant": tenant, "accounts": text}))
    return ports


def csv_route(name: str) -> dict[str, Any]:
    return {"sink": "csv", "signals": ["*"], "options": {"directory": f"exports/{name}"}}


def post_route(url: str, **fields: Any) -> dict[str, Any]:
    return {"sink": "post", "signals": ["*"], "options": {"url": url}, **fields}


def count_delivered(ports: Ports) -> dict[tuple[str, str], int]:
    """Return the successful deliveries since the gateway's start, per (account, route), from its own metric."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ports.admin}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        samples = [sample for family in families for sample in family.samples]
    return {
        (sample.labels["account"], sample.labels["route"]): int(sample.value)
        for sample in samples
        if sample.name == "cloudsignal_attempt_seconds_count" and sample.labels["outcome"] == "delivered"
    }


# -- what is used


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, in 1/100 s. Other processes hardly change it."""
    # The fields after the name, which is in brackets: utime and stime are the 12th and 13th.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int, which: str = "VmRSS") -> float:
    """Return a process's resident memory in MB; with VmHWM, its maximum."""
    found = re.search(rf"{which}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found, f"the system does not tell {which}"
    return int(found[1]) / 1024


# -- conditions


def find_cores() -> tuple[int, int]:
    """Return a core for the measured process, and one for everything else."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("needs two cores: one for the server, one for the load")
    return cores[0], cores[1]


def conditions(directory: Path) -> dict[str, Any]:
    """Return the conditions on which every figure depends."""
    return {
        "python": platform.python_version(),
        "tornado": tornado.version,
        "loop": "uvloop" if find_loop_factory() else "asyncio",
        "filesystem": find_filesystem(directory.resolve()),
        "fsync_ms": time_fsync(directory),
        "load": os.getloadavg()[0],
    }


def describe(found: Mapping[str, Any]) -> str:
    return (
        f"Python {found['python']}, Tornado {found['tornado']}, {found['loop']}; store on {found['filesystem']}, "
        f"fsync {found['fsync_ms']:.2f} ms; load average {found['load']:.1f}"
    )


def find_filesystem(path: Path) -> str:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(len(where), kind) for _, where, kind, *_ in mounts if path.is_relative_to(where)]
    return max(holding, default=(0, "unknown"))[1]


def time_fsync(directory: Path) -> float:
    """Return the median time of syncing a small write, in milliseconds."""
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


# -- figures


def median(values: Iterable[float | None]) -> float:
    """Return the median of the known values."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else float("nan")


def ratio(turns: Sequence[Mapping[str, Any]], base: Sequence[Mapping[str, Any]], key: str) -> float:
    """Return the median of the rounds' ratios, each of two turns of the same round."""
    return median(one[key] / other[key] if other[key] else None for one, other in zip(turns, base, strict=True))


def tell(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)
