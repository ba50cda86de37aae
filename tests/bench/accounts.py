"""Measure a gateway with many accounts: check, start, a scrape of the metrics, a reload, and the memory.

    python -m tests.bench.accounts [--accounts 10000] [--tenants 100] [--scrapes 5] [--directory .] [--json]

Each account has two routes to a sink that drops all, and a key that ends. Each gets two signals: one that is delivered
on both routes, and one of an order that it does not know, which is held. So every account and every route has all its
metrics. During the scrapes, one sender's answers are timed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
import urllib.request
from collections import deque
from pathlib import Path
from typing import Any

from tests.bench import discard, rig
from tests.bench.load import Connection, Load
from tests.support import payloads
from tests.support.process import free_port

CONNECTIONS = 32
LATER = "2099-01-01T00:00:00Z"


def write_config(directory: Path, accounts: int, tenants: int) -> rig.Ports:
    """Write the config of a gateway with so many accounts."""
    ports = rig.Ports.of(free_port(), free_port())
    discard.install(directory / "path")
    main = {
        "server": {"listen": f"127.0.0.1:{ports.public}"},
        "admin": {"listen": f"127.0.0.1:{ports.admin}"},
        "store": {"url": "sqlite:///gateway.db"},
        "log": {"level": "warning"},
        "plugins": ["discard"],
        "include": ["tenants/*.yaml"],
    }
    (directory / "gateway.yaml").write_text(json.dumps(main))
    (directory / "tenants").mkdir()
    route = {"sink": "discard", "signals": ["*"]}
    for tenant in range(tenants):
        text = {
            name: {
                "keys": [{"key": payloads.key_of(name), "label": "main", "expires": LATER}],
                "unknown_orders": "hold",
                "routes": {"erp": route, "export": route},
            }
            for name in (f"client{number}" for number in range(tenant, accounts, tenants))
        }
        (directory / "tenants" / f"{tenant}.yaml").write_text(json.dumps({"tenant": f"t{tenant}", "accounts": text}))
    return ports


class AccountsLoad(Load):
    """Sends each account a signal that names no order, and one whose order is unknown."""

    def __init__(self, accounts: int) -> None:
        super().__init__("", "")
        self.left: deque[bytes] = deque()
        for number in range(accounts):
            for order in ("", f"{number:012}"):
                self.left.append(make_request(f"client{number}", order))
        self.number = len(self.left)
        self.done = asyncio.Event()

    def next_request(self) -> bytes:
        return self.left.popleft()

    def answered(self, code: bytes, seconds: float) -> None:
        super().answered(code, seconds)
        if sum(self.codes.values()) == self.number:
            self.done.set()


class LimitedConnection(Connection):
    """A connection that ends with the last request."""

    load: AccountsLoad

    def send(self) -> None:
        if self.load.left:
            super().send()
        else:
            self.transport.close()


def make_request(account: str, order: str) -> bytes:
    """Return a request as bytes. A type that is not known needs no order."""
    named = {"order": order, "order_reference": f"PO-{order}"} if order else {}
    body = payloads.request({"type": "BenchStarted", "text": account, **named}, payloads.key_of(account))
    head = f"POST /signals/{account} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def send_all(accounts: int, port: int) -> tuple[int, float]:
    """Send all signals; return how many were accepted, and the seconds."""
    load = AccountsLoad(accounts)
    began = time.perf_counter()
    for _ in range(CONNECTIONS):
        await asyncio.get_running_loop().create_connection(lambda: LimitedConnection(load), "127.0.0.1", port)
    await load.done.wait()
    return load.codes["200"] + load.codes["204"], time.perf_counter() - began


def scrape(ports: rig.Ports) -> tuple[bytes, float]:
    """Return the metrics and the seconds that they took."""
    began = time.perf_counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{ports.admin}/metrics", timeout=120) as answer:
        text = answer.read()
    return text, time.perf_counter() - began


async def time_answers(ports: rig.Ports, during: asyncio.Task[Any]) -> list[float]:
    """Send one signal after the other until the task has ended; return the times of the answers (ms)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", ports.public)
    times = []
    number = 0
    while not during.done():
        number += 1
        began = time.perf_counter()
        writer.write(make_request("client0", "").replace(b'"client0"', b'"%07d"' % (number + time.time_ns() % 10**6)))
        await reader.readuntil(b"\r\n\r\n")
        times.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.002)
    writer.close()
    return times


async def scrape_beside_a_sender(ports: rig.Ports, scrapes: int) -> tuple[bytes, list[float], list[float]]:
    """Scrape some times, with a sender beside it. Return the last text, the times (s), and those of answers (ms)."""

    async def run() -> tuple[bytes, list[float]]:
        times, text = [], b""
        for _ in range(scrapes):
            text, took = await asyncio.to_thread(scrape, ports)
            times.append(took)
        return text, times

    task = asyncio.create_task(run())
    answers = await time_answers(ports, task)
    text, times = await task
    return text, times, answers


def wait_until_shown(ports: rig.Ports, routes: int) -> None:
    """Wait until a look at the store has shown all pending deliveries."""
    deadline = time.monotonic() + 120
    while scrape(ports)[0].count(b"\ncloudsignal_deliveries_pending{") < routes:
        if time.monotonic() > deadline:
            sys.exit("the pending deliveries are not shown")
        time.sleep(1)


def run_command(directory: Path, *words: str) -> tuple[float, float]:
    """Run a command; return its seconds, and its CPU time (s)."""
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "gateway", *words, "--config", "gateway.yaml"]
    done = subprocess.run(
        command, cwd=directory, env=rig.with_sinks(directory), check=False, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return time.perf_counter() - began, cpu


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Return all figures."""
    with rig.folder(given.directory) as directory:
        ports = write_config(directory, given.accounts, given.tenants)
        figures: dict[str, Any] = {}
        figures["check s"], figures["check CPU s"] = run_command(directory, "check")
        server = rig.Server(rig.SERVE, rig.ANY_CORE, directory)
        try:
            server.wait_for_port(ports.public)
            figures["start s"] = time.perf_counter() - server._spawned
            figures["start CPU s"] = rig.cpu_seconds(server.pid)
            figures["memory after the start MB"] = rig.memory(server.pid)
            rig.tell("sending")
            accepted, took = asyncio.run(send_all(given.accounts, ports.public))
            assert accepted == 2 * given.accounts, accepted
            figures["signals/s, each of another account"] = accepted / took
            wait_until_shown(ports, 2 * given.accounts)
            before = rig.cpu_seconds(server.pid)
            text, times, answers = asyncio.run(scrape_beside_a_sender(ports, given.scrapes))
            figures |= {
                "series": sum(not line.startswith(b"#") for line in text.splitlines()),
                "scrape MB": len(text) / 1e6,
                "scrape s, median": rig.median(times),
                "scrape s, longest": max(times),
                "scrape CPU s, with the sender's": (rig.cpu_seconds(server.pid) - before) / given.scrapes,
                "answers meanwhile ms, median": rig.median(answers),
                "answers meanwhile ms, longest": max(answers),
                "look at the store s": float(find_value(text, b"cloudsignal_store_look_seconds ")),
                "memory with all series MB": rig.memory(server.pid),
            }
            before = rig.cpu_seconds(server.pid)
            figures["reload s"], _ = run_command(directory, "reload", "--wait", "300")
            figures["reload CPU s, of the gateway"] = rig.cpu_seconds(server.pid) - before
            figures["memory, highest MB"] = rig.memory(server.pid, "VmHWM")
            figures["routes --json s"], figures["routes --json CPU s"] = run_command(directory, "routes", "--json")
        finally:
            server.stop()
        return figures


def find_value(text: bytes, name: bytes) -> bytes:
    return next(line.removeprefix(name) for line in text.splitlines() if line.startswith(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--scrapes", type=int, default=5)
    parser.add_argument("--directory", type=Path, default=Path("."))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    conditions = rig.conditions(given.directory)
    figures = measure(given)
    if given.json:
        print(json.dumps({"conditions": conditions, "figures": figures}))
        return
    print(f"{given.accounts} accounts with two routes each. {rig.describe(conditions)}")
    for name, value in figures.items():
        print(f"{name:36} {value:12,.3f}" if isinstance(value, float) else f"{name:36} {value:12,}")


if __name__ == "__main__":
    main()
