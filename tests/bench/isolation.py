"""Measure one account's answers and delays beside other accounts in trouble, as ratios to the account alone.

    python -m tests.bench.isolation [--seconds 10] [--rounds 3] [--rate 100] [--json]

A healthy account has a sender of constant rate and a target that answers at once. The trouble beside it: another
tenant's route that hangs, with 10,000 pending; another tenant with a target that refuses connections, with 100,000
pending; another account that receives three times its rate; all three; and a replay of 50,000 deliveries on its own
route. They take turns, each with a new gateway. Then it measures the shares of two tenants with a backlog, one with one
route and one with twenty, on a slow target and on files.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gateway.model import RouteKey
from tests.bench import rig
from tests.bench.fill import Filling, fill
from tests.bench.target import HANG
from tests.support.process import free_port

ALONE, HUNG, DEAD, FLOOD, ALL, REPLAY = "alone", "hung route", "dead tenant", "flood", "all three", "replay"
CASES: Mapping[str, Sequence[Filling]] = {
    ALONE: (),
    HUNG: (Filling("hung", ["erp"], 10_000),),
    DEAD: (Filling("dead", ["erp"], 100_000),),
    FLOOD: (),
    ALL: (Filling("hung", ["erp"], 10_000), Filling("dead", ["erp"], 100_000)),
    REPLAY: (Filling("healthy", ["erp"], 50_000, "delivered"),),
}
"""Pending deliveries in the store at the start of each case."""
FIGURES = ("ack p50", "ack p99", "delay p50", "delay p99")
FLOOD_LIMIT = 100
ONLY = "only"
MANY = tuple(f"route{number}" for number in range(20))
WIDTHS = {"http, 160 at a time": 160, "http, 8 at a time": 8}
FILES = "files"
SHARED = (FILES, *WIDTHS)
"""Kinds of routes for which two tenants share the core. By HTTP, each of twenty routes has 8 calls at a time. The one
route has 160, as many as the twenty together, and then 8. With 8 it can't use half of the core, because its target is
slow; its rate then shows how much longer its calls take."""
SLOW = 0.05
"""Seconds that the slow target takes to answer."""

Turn = dict[str, Any]


# -- neighbours


def measure_case(case: str, template: Path, given: argparse.Namespace) -> Turn:
    """Run one turn and return the figures of the healthy account."""
    _, core = rig.find_cores()
    arrivals, hang = free_port(), free_port()
    tenants: rig.Tenants = {
        "well": {"healthy": {"erp": rig.post_route(f"http://127.0.0.1:{arrivals}/", concurrency=8)}},
        "hung": {"hung": {"erp": rig.post_route(f"http://127.0.0.1:{hang}{HANG}")}},
        "dead": {"dead": {"erp": rig.post_route(f"http://127.0.0.1:{free_port()}/")}},
        "loud": {"flood": {"export": rig.csv_route("flood")}},
    }
    with rig.folder(given.directory) as directory, ExitStack() as stack:
        shutil.copyfile(template, directory / "gateway.db")
        ports = rig.write_config(directory, tenants, {"flood": {"rate": FLOOD_LIMIT}})
        stack.enter_context(rig.targeting(hang, "--core", core))
        server = stack.enter_context(rig.serving(rig.SERVE, ports.public, rig.find_cores()[0], directory))
        common = ("--port", ports.public, "--core", core, "--seconds", given.seconds)
        if case in (FLOOD, ALL):
            flood = ("--path", "/signals/flood", "--rate", 3 * FLOOD_LIMIT)
            stack.enter_context(rig.running("tests.bench.constant_rate", *common, *flood))
        sender = stack.enter_context(
            rig.running("tests.bench.constant_rate", *common, "--target", arrivals, "--rate", given.rate)
        )
        if case == REPLAY:
            time.sleep(2.0)  # the warm-up
            replay = ("replay", "--config", "gateway.yaml", "--account", "healthy", "--route", "erp")
            stack.enter_context(rig.running("gateway", *replay, directory=directory))
        output, _ = sender.communicate(timeout=given.seconds + 60)
        figures: Turn = {**json.loads(output), "cpu": rig.cpu_seconds(server.pid)}
        figures["others"] = sum(n for key, n in rig.count_delivered(ports).items() if key[0] != "healthy")
    return figures


def bench_neighbours(given: argparse.Namespace, folder: Path) -> dict[str, list[Turn]]:
    turns: dict[str, list[Turn]] = {case: [] for case in CASES}
    for number in range(given.rounds):
        for case, fillings in CASES.items():
            template = folder / f"{case}.db"
            if not template.exists():
                fill(template, *fillings)
            turns[case].append(measure_case(case, template, given))
            rig.tell(f"round {number + 1}, {case}: {turns[case][-1]}")
    return turns


def render_neighbours(turns: Mapping[str, list[Turn]]) -> str:
    lines = [f"{'ms':14}" + "".join(f"{figure:>18}" for figure in FIGURES) + f"{'missing':>9}"]
    for case, each in turns.items():
        cells = [
            f"{rig.median(turn[figure] for turn in each):8.1f} ({rig.ratio(each, turns[ALONE], figure):5.2f} x)"
            for figure in FIGURES
        ]
        missing = sum(turn["missing"] for turn in each)
        lines.append(f"{case:14}" + "".join(f"{cell:>18}" for cell in cells) + f"{missing:>9}")
        codes: Counter[str] = sum((Counter(turn["codes"]) for turn in each), Counter())
        if set(codes) != {"200"}:
            lines.append(f"  NOT ALL 200: {dict(codes)}")
    return "\n".join(lines)


# -- shares


def measure_shares(kind: str, template: Path, given: argparse.Namespace) -> dict[RouteKey, float]:
    """Return the deliveries per second of each (account, route)."""
    core, other = rig.find_cores()
    slow = free_port()

    def route(name: str) -> dict[str, Any]:
        if kind == FILES:
            return rig.csv_route(name)
        return rig.post_route(f"http://127.0.0.1:{slow}/", concurrency=WIDTHS[kind] if name == ONLY else 8)

    tenants = {"small": {"one": {ONLY: route(ONLY)}}, "large": {"many": {name: route(name) for name in MANY}}}
    with rig.folder(given.directory) as directory, ExitStack() as stack:
        shutil.copyfile(template, directory / "gateway.db")
        ports = rig.write_config(directory, tenants)
        stack.enter_context(rig.targeting(slow, "--core", other, "--delay", SLOW))
        stack.enter_context(rig.serving(rig.SERVE, ports.public, core, directory))
        time.sleep(2.0)
        before, began = rig.count_delivered(ports), time.perf_counter()
        time.sleep(given.seconds)
        after, took = rig.count_delivered(ports), time.perf_counter() - began
    return {key: (count - before.get(key, 0)) / took for key, count in after.items()}


def bench_shares(given: argparse.Namespace, folder: Path) -> dict[str, list[Turn]]:
    """Return by kind the deliveries per second of the tenant with one route, alone and beside the other."""
    one = Filling("one", [ONLY], 150_000)
    many = Filling("many", MANY, 10_000)
    fill(folder / "one.db", one)
    fill(folder / "both.db", one, many)
    turns: dict[str, list[Turn]] = {kind: [] for kind in SHARED}
    for number in range(given.rounds):
        for kind, each in turns.items():
            alone = measure_shares(kind, folder / "one.db", given)
            both = measure_shares(kind, folder / "both.db", given)
            others = [both.get(("many", name), 0.0) for name in MANY]
            figures = {"alone": sum(alone.values()), "one": both.get(("one", ONLY), 0.0), "many": sum(others)}
            each.append({**figures, "least": min(others), "most": max(others)})
            rig.tell(f"shares, round {number + 1}, {kind}: {each[-1]}")
    return turns


def render_shares(turns: Mapping[str, list[Turn]]) -> str:
    lines = ["deliveries/s of a tenant with one route and one with twenty, and the first one's alone"]
    for kind, each in turns.items():
        one, many, alone, least, most = (
            rig.median(turn[key] for turn in each) for key in ("one", "many", "alone", "least", "most")
        )
        lines.append(
            f"{kind:22}one {one:.0f} ({one / (one + many):.0%} of all, {one / alone:.2f} x alone), "
            f"twenty {many:.0f} (by route {least:.0f} to {most:.0f}), one alone {alone:.0f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each turn, beside two to warm up")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=100.0, help="signals a second of the healthy account")
    parser.add_argument("--directory", type=Path, default=Path(), help="where the stores are made; use a real disk")
    parser.add_argument("--only", choices=("neighbours", "shares"), help="measure only this")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    found: dict[str, dict[str, list[Turn]]] = {}
    with rig.folder(given.directory) as folder:
        about = rig.conditions(folder)
        if given.only != "shares":
            found["neighbours"] = bench_neighbours(given, folder)
        if given.only != "neighbours":
            found["shares"] = bench_shares(given, folder)
    if given.json:
        print(json.dumps({"conditions": about, **found}))
        return
    print(rig.describe(about))
    print(f"{given.rate:g} signals/s, {given.rounds} rounds of {given.seconds:g} s; medians, and of the rounds' ratios")
    for name, render in (("neighbours", render_neighbours), ("shares", render_shares)):
        if name in found:
            print(render(found[name]))


if __name__ == "__main__":
    main()
