"""Measure an audit and a replay on a store with history, and the delay of writes beside them.

    python -m tests.bench.custody [--signals 1000000] [--seconds 10] [--json]

The store is filled in bulk, three deliveries a signal, a tenth of them pending. The commands run as processes of their
own. Beside them this process accepts signals, one after the other, as fast as the disk allows: alone, then during each
command.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.store import Settings, open_store
from gateway.store.contract import Store
from gateway.store.values import Target
from tests.support.factory import make_signal
from tests.support.process import environment

ROUTES = "erp,export,alerts"
CONFIG = """\
store: {url: "sqlite:///gateway.db"}
plugins: [csv]
tenant: bench
accounts:
  shop0: {keys: [not-used-by-this-bench], routes: {erp: {sink: csv, options: {directory: exports}}}}
"""


def fill(folder: Path, signals: int, state: str) -> None:
    """Fill the store in its own process, so that its memory does not count as the commands'."""
    given = ["--account", "shop0", "--routes", ROUTES, "--signals", str(signals), "--state", state]
    call = [sys.executable, "-m", "tests.bench.fill", str(folder / "gateway.db"), *given]
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def command(folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command for the duration of the block, and interrupt it at the end."""
    call = [sys.executable, "-m", "gateway", *words, "--config", "gateway.yaml"]
    with subprocess.Popen(
        call, cwd=folder, env=environment(None), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)


def measure(folder: Path, *words: str) -> dict[str, float]:
    """Run a command to its end, and return its seconds, seconds of CPU, and MB."""
    started = time.monotonic()
    with command(folder, *words) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    cpu = usage.ru_utime + usage.ru_stime
    return {"seconds": time.monotonic() - started, "cpu": cpu, "rss": usage.ru_maxrss / 1024}


async def accept_for(store: Store, seconds: float, label: str) -> dict[str, float]:
    """Accept signals one after another, and return the rate per second and the times in ms."""
    took = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number = f"{label}-{len(took)}"
        started = time.monotonic()
        await store.accept(make_signal(account="shop0", order=number), [Target("erp", number)], (), False)
        took.append(time.monotonic() - started)
    took.sort()
    p50, p99, longest = (took[place] * 1e3 for place in (len(took) // 2, len(took) * 99 // 100, -1))
    return {"rate": len(took) / seconds, "p50": p50, "p99": p99, "max": longest}


async def accept_beside(folder: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Measure accepts alone, beside an audit, and beside a replay of everything."""
    store = open_store(Settings(f"sqlite:///{folder}/gateway.db"))
    figures = {"alone": await accept_for(store, seconds, "alone")}
    for words in (["audit"], ["replay", "--since", "2000-01-01"]):
        with command(folder, *words) as process:
            await asyncio.sleep(1)  # until it has begun its work
            figures[words[0]] = await accept_for(store, seconds, words[0])
            still = process.poll() is None
        assert still, f"{words[0]} was over too soon: fill in more signals"
    await store.close()
    return figures


def run(signals: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "gateway.yaml").write_text(CONFIG)
        fill(folder, signals - signals // 10, "delivered")
        fill(folder, signals // 10, "pending")
        size = (folder / "gateway.db").stat().st_size / 1e6
        audit = measure(folder, "audit")
        dry = measure(folder, "replay", "--since", "2000-01-01", "--dry-run")
        beside = asyncio.run(accept_beside(folder, seconds))
    return {"signals": signals, "MB": size, "audit": audit, "dry_run": dry, "accepts": beside}


def show(figures: dict[str, Any]) -> None:
    print(f"{figures['signals']} signals, {figures['MB']:.0f} MB")
    for name in ("audit", "dry_run"):
        cost = figures[name]
        rate = figures["signals"] / cost["seconds"]
        print(
            f"{name:8} {cost['seconds']:.1f} s, CPU {cost['cpu']:.1f} s, {cost['rss']:.0f} MB: {rate:.0f} signals/s, "
            f"10 million in {1e7 / rate:.0f} s at that rate"
        )
    for name, cost in figures["accepts"].items():
        print(f"accepts {name:8} {cost['rate']:.0f}/s, p50 {cost['p50']:.1f} ms, p99 {cost['p99']:.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = run(arguments.signals, arguments.seconds)
    print(json.dumps(found)) if arguments.json else show(found)
