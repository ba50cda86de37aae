"""Measure the signals per second that the gateway takes on one core, and a bare Tornado handler on the same core.

    python -m tests.bench.ingest [--seconds 10] [--rounds 3] [--connections 64] [--routes 3] [--json]

The gateway runs as `cloudsignal serve` does. All checks are on, and the default log goes to a file. Each signal is
synced to disk before its answer, and deliveries to CSV files run meanwhile. The bare handler parses the JSON and
answers 200. They take turns, because machines are noisy, each with a new process and an empty store. Figures are
medians.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench import rig
from tests.support.process import ROOT

GATEWAY, TORNADO, BARE = "gateway", "tornado", "bare"
ROWS = (
    ("signals/s", "rate", "{:.0f}"),
    ("p50 ms", "p50", "{:.2f}"),
    ("p99 ms", "p99", "{:.2f}"),
    ("RSS MB", "rss", "{:.0f}"),
    ("CPU", "cpu", "{:.0%}"),
    ("CPU µs each", "each", "{:.0f}"),
)
"""Rows of the printed table: label, figure, format."""


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
    """Return the figures of one turn of a server: GATEWAY, TORNADO (see tests.bench.http) or BARE."""
    with rig.folder(given.directory) as directory:
        routes = {f"export{n}": rig.csv_route(f"{n}") for n in range(given.routes)}
        port = rig.write_config(directory, {"bench": {"bench": routes}}).public
        commands = {
            GATEWAY: rig.SERVE,
            TORNADO: ("tests.bench.tornado_gateway", *rig.SERVE[1:]),
            BARE: ("tests.bench.bare", str(port), given.bare_loop),
        }
        with rig.serving(commands[which], port, cores[0], directory) as server:
            figures = run_load(port, server.pid, cores[1], given)
        if which != BARE:
            figures |= read_store(directory / "gateway.db")
    return figures


def read_store(path: Path) -> dict[str, Any]:
    """Count the signals in a stopped gateway's store, and its deliveries by state."""
    connection = sqlite3.connect(path)
    try:
        (stored,) = connection.execute("SELECT count(*) FROM signals").fetchone()
        states = connection.execute("SELECT state, count(*) FROM deliveries GROUP BY state")
        return {"stored": stored, "deliveries": dict(states)}
    finally:
        connection.close()


def conditions(given: argparse.Namespace, cores: Sequence[int]) -> dict[str, Any]:
    """Return the conditions on which the figures depend."""
    return {
        **rig.conditions(given.directory),
        "cores": {"server": cores[0], "load": cores[1]},
        **{name: getattr(given, name) for name in ("connections", "seconds", "rounds", "routes", "bare_loop")},
    }


def summarize(turns: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return each server's medians, and the ratio of the rates in each round."""
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
        f"{about['routes']} csv routes (the bare handler's loop: {about['bare_loop']})",
        rig.describe(about),
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


def make_parser(text: str | None) -> argparse.ArgumentParser:
    """Return the parser of this bench's options; `text` is its help."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each turn, beside a second to warm up")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--routes", type=int, default=3, help="csv routes of the account; 0 takes signals only")
    parser.add_argument(
        "--bare-loop", choices=("same", "asyncio"), default="same", help="the bare handler's event loop"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="where the store is made; use a real disk")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main() -> None:
    given = make_parser(__doc__).parse_args()
    cores = rig.find_cores()
    turns: dict[str, list[dict[str, Any]]] = {GATEWAY: [], BARE: []}
    for number in range(given.rounds):
        for which, each in turns.items():
            each.append(measure(which, given, cores))
            rig.tell(f"round {number + 1}: {which} {each[-1]['rate']:.0f} signals/s")
    result = {"conditions": conditions(given, cores), **summarize(turns)}
    print(json.dumps(result) if given.json else render(result))


if __name__ == "__main__":
    main()
