"""How many signals a second the gateway takes on one core, beside a bare Tornado handler on the same core.

    python -m tests.bench.ingest [--seconds 10] [--rounds 3] [--connections 64] [--routes 3] [--json]

The gateway runs as `cloudsignal serve` does: every check on, the default log written to a file, each signal synced to
disk before its answer, and its deliveries to CSV files running meanwhile. The bare handler parses the JSON and answers
200. They take turns, each time with a new process and an empty store, since machines are noisy; figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tornado

from gateway.cli.run import find_loop_factory
from tests.support import payloads
from tests.support.process import ROOT, environment, free_port

GATEWAY, BARE = "gateway", "bare"
ROWS = (
    ("signals/s", "rate", "{:.0f}"),
    ("p50 ms", "p50", "{:.2f}"),
    ("p99 ms", "p99", "{:.2f}"),
    ("RSS MB", "rss", "{:.0f}"),
    ("CPU", "cpu", "{:.0%}"),
)
"""What is printed of each server: label, figure, format."""

CONFIG = """\
server: {{listen: "127.0.0.1:{port}"}}
store: {{url: sqlite:///gateway.db}}
plugins: [csv]
tenant: bench
accounts:
  bench:
    keys: [{key}]
    routes: {{{routes}}}
"""
ROUTE = "export{n}: {{sink: csv, signals: ['*'], options: {{directory: exports/{n}}}}}"


@contextmanager
def serving(command: Sequence[str], port: int, core: int, directory: Path) -> Iterator[int]:
    """A server on one core, from when it listens; its pid. Its output is in the directory."""
    log = directory / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=directory,
            env=environment(None),
            stdout=output,
            stderr=output,
        )
        try:
            os.sched_setaffinity(process.pid, {core})  # before it has threads; those it makes inherit it
            wait_for(port, process, log)
            yield process.pid
        finally:
            stop(process)


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run_load(port: int, pid: int, core: int, given: argparse.Namespace) -> dict[str, Any]:
    words = {"--port": port, "--pid": pid, "--core": core}
    words |= {"--connections": given.connections, "--seconds": given.seconds}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load", *(str(word) for pair in words.items() for word in pair)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        timeout=given.seconds + 60,
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def measure(which: str, given: argparse.Namespace, cores: Sequence[int]) -> dict[str, Any]:
    """One turn of the gateway or the bare handler."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.directory) as name:
        directory = Path(name)
        if which == GATEWAY:
            routes = ", ".join(ROUTE.format(n=n) for n in range(given.routes))
            text = CONFIG.format(port=port, key=payloads.KEY, routes=routes)
            (directory / "gateway.yaml").write_text(text)
            command = ["gateway", "serve", "--config", "gateway.yaml"]
        else:
            command = ["tests.bench.bare", str(port), given.bare_loop]
        with serving(command, port, cores[0], directory) as pid:
            figures = run_load(port, pid, cores[1], given)
        if which == GATEWAY:
            figures |= read_store(directory / "gateway.db")
    return figures


def read_store(path: Path) -> dict[str, Any]:
    """What is on disk once the gateway has stopped: how many signals, and deliveries by state."""
    connection = sqlite3.connect(path)
    try:
        (stored,) = connection.execute("SELECT count(*) FROM signals").fetchone()
        states = connection.execute("SELECT state, count(*) FROM deliveries GROUP BY state")
        return {"stored": stored, "deliveries": dict(states)}
    finally:
        connection.close()


def conditions(given: argparse.Namespace, cores: Sequence[int]) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "python": platform.python_version(),
        "tornado": tornado.version,
        "loop": "uvloop" if find_loop_factory() else "asyncio",
        "filesystem": find_filesystem(given.directory.resolve()),
        "fsync_ms": time_fsync(given.directory),
        "cores": {"server": cores[0], "load": cores[1]},
        **{name: getattr(given, name) for name in ("connections", "seconds", "rounds", "routes", "bare_loop")},
    }


def find_filesystem(path: Path) -> str:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(len(where), kind) for _, where, kind, *_ in mounts if path.is_relative_to(where)]
    return max(holding, default=(0, "unknown"))[1]


def time_fsync(directory: Path) -> float:
    """Milliseconds that syncing a small write takes, the median of some."""
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def summarize(turns: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians of each server, and the ratio of the rates by round."""
    medians = {
        which: {key: statistics.median(turn[key] for turn in each) for _, key, _ in ROWS}
        for which, each in turns.items()
    }
    ratios = [one["rate"] / other["rate"] for one, other in zip(turns[GATEWAY], turns[BARE], strict=True)]
    answers = {which: dict(sum((Counter(turn["codes"]) for turn in each), Counter())) for which, each in turns.items()}
    deliveries = sum((Counter(turn["deliveries"]) for turn in turns[GATEWAY]), Counter())
    every = [*turns[GATEWAY], *turns[BARE]]
    return {
        **medians,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "answers": answers,
        "accepted": sum(turn["accepted"] for turn in turns[GATEWAY]),
        "stored": sum(turn["stored"] for turn in turns[GATEWAY]),
        "lost_connections": sum(turn["lost"] for turn in every),
        "load_cpu": max(turn["load_cpu"] for turn in every),
        "deliveries": dict(deliveries),
    }


def render(result: dict[str, Any]) -> str:
    about = result["conditions"]
    lines = [
        f"one core, {about['connections']} connections, {about['rounds']} rounds of {about['seconds']:g} s each, "
        f"{about['routes']} csv routes; Python {about['python']}, Tornado {about['tornado']}, {about['loop']} "
        f"(the bare handler's loop: {about['bare_loop']}); "
        f"store on {about['filesystem']}, fsync {about['fsync_ms']:.2f} ms",
        f"{'':12}{GATEWAY:>10}{BARE:>10}",
    ]
    for label, key, shape in ROWS:
        lines.append(f"{label:12}{shape.format(result[GATEWAY][key]):>10}{shape.format(result[BARE][key]):>10}")
    rounds = " ".join(f"{ratio:.2f}" for ratio in result["ratios"])
    due = sum(result["deliveries"].values())
    lines.append(f"ratio {result['ratio']:.2f} (by round: {rounds})")
    lines.append(f"answered 200: {result['accepted']}, signals on disk: {result['stored']}")
    lines.append(f"deliveries done by the end of the load: {result['deliveries'].get('delivered', 0)} of {due}")
    lines.append(f"the load generator used {result['load_cpu']:.0%} of its core at most")
    for which, codes in result["answers"].items():
        if set(codes) != {"200"}:
            lines.append(f"NOT ALL 200: {which} answered {codes}")
    if result["lost_connections"]:
        lines.append(f"LOST CONNECTIONS: {result['lost_connections']}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each turn, beside a second to warm up")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--routes", type=int, default=3, help="csv routes of the account; 0 takes signals only")
    parser.add_argument(
        "--bare-loop", choices=("same", "asyncio"), default="same", help="the bare handler's event loop"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="where the store is made; use a real disk")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("needs two cores: one for the server, one for the load")
    turns: dict[str, list[dict[str, Any]]] = {GATEWAY: [], BARE: []}
    for number in range(given.rounds):
        for which, each in turns.items():
            each.append(measure(which, given, cores))
            print(f"round {number + 1}: {which} {each[-1]['rate']:.0f} signals/s", file=sys.stderr)
    result = {"conditions": conditions(given, cores), **summarize(turns)}
    print(json.dumps(result) if given.json else render(result))


if __name__ == "__main__":
    main()
