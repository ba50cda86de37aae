"""Measure deliveries per second on one core, and the answer times of a sender beside them.

    python -m tests.bench.delivery [--seconds 10] [--rounds 3] [--json]

From a full store: to a CSV file, and by HTTP through the sink of tests.support.post, to a target on the other core that
answers at once. Another account has a sender of constant rate, whose answers are timed, alone and beside each. The
cases take turns, each with a new gateway. CPU time is the gateway's, for each delivery. It bounds the rate from above,
and other work on the machine hardly changes it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench import rig
from tests.bench.fill import Filling, fill
from tests.support.process import free_port

IDLE, CSV, POST = "no deliveries", "csv", "http"
CASES = (IDLE, CSV, POST)
ACCOUNT = "bench"
WARM_UP = 2.0

Turn = dict[str, Any]


def measure(case: str, rate: float, template: Path, given: argparse.Namespace) -> Turn:
    """Measure one turn: deliveries from the full store beside a sender of this rate (0 for none)."""
    core, other = rig.find_cores()
    target = free_port()
    with rig.folder(given.directory) as directory, ExitStack() as stack:
        shutil.copyfile(template, directory / "gateway.db")
        ports = rig.write_config(
            directory, {"full": {ACCOUNT: routes_of(case, target, given)}, "paced": {"healthy": {}}}
        )
        stack.enter_context(rig.targeting(target, "--core", other))
        server = stack.enter_context(rig.serving(rig.SERVE, ports.public, core, directory))
        acks = {}
        if rate:
            words = ("--port", ports.public, "--core", other, "--rate", rate)
            words += ("--warm-up", WARM_UP, "--seconds", given.seconds)
            sender = stack.enter_context(rig.running("tests.bench.constant_rate", *words))
        time.sleep(WARM_UP)
        before, cpu, began = sum(rig.count_delivered(ports).values()), rig.cpu_seconds(server.pid), time.perf_counter()
        time.sleep(given.seconds)
        count, used = sum(rig.count_delivered(ports).values()) - before, rig.cpu_seconds(server.pid) - cpu
        took = time.perf_counter() - began
        if rate:
            acks = json.loads(sender.communicate(timeout=60)[0])
    return {
        "rate": count / took,
        "each": used / count * 1e6 if count else None,
        "cpu": used / took,
        **{name: acks.get(name) for name in ("ack p50", "ack p99", "codes")},
    }


def routes_of(case: str, target: int, given: argparse.Namespace) -> rig.Routes:
    """Return the routes of the account with the backlog: one file, or several that post."""
    if case == CSV:
        return {"route0": rig.csv_route("export")}
    route = rig.post_route(f"http://127.0.0.1:{target}/", concurrency=given.concurrency)
    return {f"route{number}": route for number in range(given.routes)} if case == POST else {}


def run(given: argparse.Namespace, folder: Path) -> dict[str, list[Turn]]:
    """Return the medians by case. Rates are from turns without a sender."""
    templates = {IDLE: folder / "idle.db", CSV: folder / "csv.db", POST: folder / "http.db"}
    fill(templates[IDLE])
    fill(templates[CSV], Filling(ACCOUNT, ["route0"], given.pending))
    fill(templates[POST], Filling(ACCOUNT, [f"route{number}" for number in range(given.routes)], given.pending))
    turns: dict[str, list[Turn]] = {case: [] for case in CASES}
    for number in range(given.rounds):
        for case, each in turns.items():
            turn = measure(case, given.rate, templates[case], given)
            if case != IDLE:
                plain = measure(case, 0, templates[case], given)
                turn |= {"rate beside": turn["rate"], "rate": plain["rate"], "each": plain["each"], "cpu": plain["cpu"]}
            each.append(turn)
            rig.tell(f"round {number + 1}, {case}: {turn}")
    return turns


def render(turns: Mapping[str, list[Turn]]) -> str:
    lines = [f"{'':16}{'deliveries/s':>14}{'CPU':>7}{'CPU µs each':>13}{'ack p50 ms':>18}{'ack p99 ms':>18}"]
    for case, each in turns.items():
        figure = {key: rig.median(turn[key] for turn in each) for key in each[0] if key != "codes"}
        rate = "" if case == IDLE else f"{figure['rate']:.0f}"
        used = "" if case == IDLE else f"{figure['each']:.0f}"
        acks = "".join(
            f"{figure[key]:8.1f} ({rig.ratio(each, turns[IDLE], key):5.2f} x)" for key in ("ack p50", "ack p99")
        )
        lines.append(f"{case:16}{rate:>14}{figure['cpu']:>7.0%}{used:>13}{acks}")
        codes = {code for turn in each for code in turn["codes"]}
        if codes != {"200"}:
            lines.append(f"  NOT ALL 200: {sorted(codes)}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each turn, beside two to warm up")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pending", type=int, default=200_000, help="signals whose deliveries are pending")
    parser.add_argument("--routes", type=int, default=4, help="routes that post")
    parser.add_argument("--concurrency", type=int, default=16, help="of a route that posts")
    parser.add_argument("--rate", type=float, default=100.0, help="signals a second of the sender")
    parser.add_argument("--directory", type=Path, default=Path(), help="where the stores are made; use a real disk")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    with rig.folder(given.directory) as folder:
        about = rig.conditions(folder)
        turns = run(given, folder)
    if given.json:
        print(json.dumps({"conditions": about, "turns": turns}))
        return
    print(rig.describe(about))
    print(
        f"{given.pending} signals pending; {given.routes} routes post, {given.concurrency} at a time each; "
        f"{given.rate:g} signals/s beside; medians of {given.rounds} rounds of {given.seconds:g} s, and of their ratios"
    )
    print(render(turns))


if __name__ == "__main__":
    main()
