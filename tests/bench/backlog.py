"""Measure a store with a large backlog and one with a long history, as ratios to a small store.

    python -m tests.bench.backlog [--pending 1000000] [--history 10000000] [--rounds 3] [--json]

Backlog: the time from the spawn of `serve` until it accepts signals, also after a kill; its memory while it delivers to
a CSV file; claiming and recording in this process, at a constant backlog. History: accepting, claiming and recording.
Small and large take turns. CPU time is of the process, with the writer's thread and SQLite.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.model import Delivery, Done, lane_of
from gateway.store import open_store
from gateway.store.contract import Settings, Store
from gateway.store.values import ClaimRequest, Result, Target
from tests.bench import rig
from tests.bench.fill import STEPS, Filling, fill
from tests.support.factory import make_signal

LITTLE = 1000
BATCH = 100
"""Signals, deliveries or results per transaction: about as many as the writer batches under load."""
REPEATS = 40
"""Transactions of each kind per turn."""
WARM_UP = 5
ACCOUNT, ROUTE = "bench", "export"

Turn = dict[str, float]


# -- the process


def measure_start(template: Path, given: argparse.Namespace) -> Turn:
    """Measure a start, a time of delivering, a kill during it, and the next start."""
    with rig.folder(given.directory) as directory:
        shutil.copyfile(template, directory / "gateway.db")
        ports = rig.write_config(directory, {"bench": {ACCOUNT: {ROUTE: rig.csv_route(ROUTE)}}})
        figures = {}
        for name, seconds in (("start", given.seconds), ("start after a kill", 0.0)):
            server = rig.Server(rig.SERVE, rig.find_cores()[0], directory)
            try:
                figures[f"{name} s"] = server.wait_for_line()
                figures[f"{name} CPU s"] = rig.cpu_seconds(server.pid)
                if seconds:
                    time.sleep(seconds)
                    figures |= {"memory MB": rig.memory(server.pid, "VmHWM")}
                    figures |= {"delivered": sum(rig.count_delivered(ports).values())}
            finally:
                server.kill()
    return figures


# -- the store


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    store = open_store(Settings(f"sqlite:///{path}"))
    try:
        yield store
    finally:
        await store.close()


class Course:
    """Moves signals through a store, and times it. Each batch is one transaction; `number` makes orders new."""

    def __init__(self, store: Store, number: itertools.count[int]) -> None:
        self._store = store
        self._number = number
        self._times: dict[str, list[tuple[float, float]]] = {"accept": [], "claim": [], "record": []}

    async def run(self, repeats: int) -> None:
        """Accept as many signals as are claimed and recorded next, so that the backlog stays constant."""
        for _ in range(repeats):
            await self._accept()
            await self._deliver()

    def forget(self) -> None:
        """Drop the times so far: they were a warm-up."""
        for times in self._times.values():
            times.clear()

    def figures(self) -> Turn:
        """Return the milliseconds, by clock and by CPU, of a batch of each kind."""
        found = {}
        for name, times in self._times.items():
            found[f"{name} ms"] = rig.median(wall for wall, _ in times) * 1000
            found[f"{name} CPU ms"] = sum(cpu for _, cpu in times) / len(times) * 1000
        return found

    async def _accept(self) -> None:
        now = datetime.now(UTC)
        signals = []
        for _ in range(BATCH):
            order, step = divmod(next(self._number), len(STEPS))
            fields = {"order": f"NEW-{order:09}", "order_reference": f"PO-NEW-{order:09}", "datetime": now.isoformat()}
            signal = make_signal(STEPS[step], account=ACCOUNT, id=0, **fields)
            signals.append(replace(signal, received_at=now))
        accepts = [
            self._store.accept(signal, [Target(ROUTE, lane_of(signal, "lane"))], [], False) for signal in signals
        ]
        await self._time("accept", asyncio.gather(*accepts))

    async def _deliver(self) -> None:
        now = time.time()
        want = ClaimRequest(ACCOUNT, ROUTE, BATCH)
        claim = await self._time("claim", self._store.claim([want], now, now + 300))
        deliveries: Sequence[Delivery] = claim.deliveries
        assert len(deliveries) == BATCH, f"only {len(deliveries)} were due"
        results = [Result(delivery, Done("delivered"), None, now) for delivery in deliveries]
        await self._time("record", self._store.record(results, {}))

    async def _time(self, name: str, work: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        found = await work
        self._times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
        return found


async def measure_course(path: Path, number: itertools.count[int], cold: bool = False) -> Turn:
    """Measure one turn of a store; `cold` means with none of its file in the page cache."""
    if cold:
        drop_cache(path)
    async with opened(path) as store:
        course = Course(store, number)
        if not cold:
            await course.run(WARM_UP)
            course.forget()
        await course.run(WARM_UP if cold else REPEATS)
    return course.figures()


def drop_cache(path: Path) -> None:
    """Drop a file from the system's page cache."""
    for file in path.parent.glob(f"{path.name}*"):
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


# -- turns


def take_turns(rounds: int, measure: Mapping[str, Callable[[], Turn]], what: str) -> dict[str, list[Turn]]:
    """Run each once per round, in turns."""
    turns: dict[str, list[Turn]] = {name: [] for name in measure}
    for number in range(rounds):
        for name, run in measure.items():
            turns[name].append(run())
            rig.tell(
                f"{what}, round {number + 1}, {name}: " + ", ".join(f"{k} {v:.2f}" for k, v in turns[name][-1].items())
            )
    return turns


def bench_backlog(given: argparse.Namespace, folder: Path) -> dict[str, dict[str, list[Turn]]]:
    stores = {"1,000 pending": folder / "little.db", f"{given.pending:,} pending": folder / "much.db"}
    for path, signals in zip(stores.values(), (LITTLE, given.pending), strict=True):
        make_store(path, Filling(ACCOUNT, [ROUTE], signals))
    number = itertools.count()
    starts = {name: lambda path=path: measure_start(path, given) for name, path in stores.items()}
    courses = {name: lambda path=path: run_course(path, number) for name, path in stores.items()}
    return {
        "start and memory": take_turns(given.rounds, starts, "start"),
        "claim and record": take_turns(given.rounds, courses, "backlog"),
    }


def bench_history(given: argparse.Namespace, folder: Path) -> dict[str, dict[str, list[Turn]]]:
    stores = {"no history": folder / "young.db", f"{given.history:,} signals of history": folder / "old.db"}
    for path, signals in zip(stores.values(), (0, given.history), strict=True):
        history = [Filling(ACCOUNT, [ROUTE], signals, "delivered")] if signals else []
        make_store(path, *history, Filling(ACCOUNT, [ROUTE], LITTLE))
    number = itertools.count()
    warm = {name: lambda path=path: run_course(path, number) for name, path in stores.items()}
    cold = {name: lambda path=path: run_course(path, number, cold=True) for name, path in stores.items()}
    return {
        "history": take_turns(given.rounds, warm, "history"),
        "history, file not in memory": take_turns(given.rounds, cold, "history, cold"),
    }


def run_course(path: Path, number: itertools.count[int], cold: bool = False) -> Turn:
    return asyncio.run(measure_course(path, number, cold))


def make_store(path: Path, *fillings: Filling) -> None:
    started = time.perf_counter()
    fill(path, *fillings)
    counts = ", ".join(f"{filling.signals} {filling.state}" for filling in fillings)
    rig.tell(f"filled with {counts} in {time.perf_counter() - started:.1f} s, {path.stat().st_size / 1e6:.0f} MB")


def render(title: str, turns: Mapping[str, list[Turn]]) -> str:
    """Return the medians of each, and the median of the rounds' ratios."""
    (small, base), (large, loaded) = turns.items()
    lines = [f"{title:28}{small:>18}{large:>32}{'ratio':>8}"]
    for key in base[0]:
        values = [rig.median(turn[key] for turn in each) for each in (base, loaded)]
        lines.append(f"  {key:26}{values[0]:>18.2f}{values[1]:>32.2f}{rig.ratio(loaded, base, key):>8.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pending", type=int, default=1_000_000, help="0 leaves the backlog out")
    parser.add_argument("--history", type=int, default=10_000_000, help="0 leaves the history out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="of delivering, before the memory is read")
    parser.add_argument("--directory", type=Path, default=Path(), help="where the stores are made; use a real disk")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    found: dict[str, dict[str, list[Turn]]] = {}
    with rig.folder(given.directory) as folder:
        about = rig.conditions(folder)
        if given.pending:
            found |= bench_backlog(given, folder)
        if given.history:
            found |= bench_history(given, folder)
    if given.json:
        print(json.dumps({"conditions": about, **found}))
        sys.exit()
    print(rig.describe(about))
    print(f"seconds, MB, and milliseconds for {BATCH} signals or deliveries; medians of {given.rounds} rounds")
    for title, turns in found.items():
        print(render(title, turns))


if __name__ == "__main__":
    main()
