"""Measure one, two and three gateways on one PostgreSQL: signals, deliveries, and the database's CPU time.

    python -m tests.bench.scale [--seconds 10] [--routes 2] [--connections 96] [--json]

Everything runs on this computer: the gateways, the load and the database share its cores. So figures per second say
little about separate computers. Figures per second of the database's CPU say how much one database can carry. Beside
them: one gateway with SQLite under the same load, and the statements of a batch alone on one connection, with batches
as large as given. The server syncs every commit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from gateway.store import open_store
from gateway.store.contract import Settings
from gateway.store.operations import Accept
from gateway.store.postgres import accept
from gateway.store.rows import dumps
from gateway.store.values import Target
from tests.bench import discard, rig
from tests.support import payloads
from tests.support.factory import make_signal
from tests.support.postgres import Server
from tests.support.process import ROOT, free_port

BATCHES = (1, 16, 128, 512)
ROWS = (
    ("signals/s", "rate", "{:.0f}"),
    ("deliveries/s", "delivered", "{:.0f}"),
    ("p50 ms", "p50", "{:.1f}"),
    ("p99 ms", "p99", "{:.1f}"),
    ("signals per database CPU s", "per_cpu", "{:.0f}"),
    ("signals per gateway CPU s", "per_gateway_cpu", "{:.0f}"),
    ("database CPU, of one core", "database", "{:.0%}"),
)


def database_cpu(server: Server) -> float:
    """Return the CPU time (s) of the server's processes, the ended ones included."""
    postmaster = server.pid
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    own = Path(f"/proc/{postmaster}/stat").read_text().rpartition(")")[2].split()
    ended = (int(own[13]) + int(own[14])) / 100
    total = rig.cpu_seconds(postmaster) + ended
    for pid in children:
        try:
            total += rig.cpu_seconds(int(pid))
        except FileNotFoundError:
            continue
    return total


def write_config(directory: Path, url: str, routes: int) -> tuple[int, int]:
    """Write the config of a gateway that discards its deliveries. Return its ports."""
    public, admin = free_port(), free_port()
    discard.install(directory / "path")
    named = {f"route{n}": {"sink": "discard", "signals": ["*"]} for n in range(routes)}
    text = {
        "server": {"listen": f"127.0.0.1:{public}"},
        "admin": {"listen": f"127.0.0.1:{admin}"},
        "store": {"url": url},
        "plugins": ["discard"],
        "accounts": {"bench": {"keys": [payloads.key_of("bench")], "routes": named}},
    }
    (directory / "gateway.yaml").write_text(json.dumps(text))
    return public, admin


def measure(given: argparse.Namespace, gateways: int, server: Server | None) -> dict[str, Any]:
    """Measure one turn: `gateways` on the server, or one on SQLite."""
    with ExitStack() as stack:
        url = server.make_place() if server else "sqlite:///gateway.db"
        running, ports = [], []
        for _ in range(gateways):
            directory = stack.enter_context(rig.folder(given.directory))
            public, admin = write_config(directory, url, given.routes)
            gateway = rig.Server(rig.SERVE, rig.ANY_CORE, directory)
            stack.callback(gateway.stop)
            gateway.wait_for_port(public)
            running.append(gateway)
            ports.append((public, admin))
        used = database_cpu(server) if server else 0.0
        own = sum(rig.cpu_seconds(gateway.pid) for gateway in running)
        started = time.perf_counter()
        pairs = zip(ports, running, strict=True)
        loads = [load(given, n, public, gateway.pid) for n, ((public, _), gateway) in enumerate(pairs)]
        found = [json.loads(process.communicate(timeout=given.seconds + 60)[0]) for process in loads]
        took = time.perf_counter() - started
        used = (database_cpu(server) if server else 0.0) - used
        own = sum(rig.cpu_seconds(gateway.pid) for gateway in running) - own
        delivered = sum(sum(rig.count_delivered(rig.Ports.of(*pair)).values()) for pair in ports)
        taken = count_signals(server, url) if server else sum(load["rate"] for load in found) * took
        figures = {
            "rate": sum(load["rate"] for load in found),
            "delivered": delivered / took,
            "p50": statistics.median(load["p50"] for load in found),
            "p99": max(load["p99"] for load in found),
            "per_cpu": taken / used if used else None,
            "per_gateway_cpu": taken / own,
            "database": used / took if used else None,
        }
        return figures | ({"tables": table_stats(server, url)} if server else {})


def load(given: argparse.Namespace, number: int, port: int, pid: int) -> subprocess.Popen[bytes]:
    words = {"--port": port, "--pid": pid, "--seconds": given.seconds, "--connections": given.connections}
    words["--first"] = number * 10_000_000
    command = [sys.executable, "-m", "tests.bench.load", *(str(word) for pair in words.items() for word in pair)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def count_signals(server: Server, url: str) -> int:
    [(count,)] = server.execute_at(url, "SELECT count(*) FROM signals")
    return int(str(count))


def table_stats(server: Server, url: str) -> list[dict[str, Any]]:
    """Return the rows that vacuum must clean up, per table."""
    names = ("table", "inserted", "updated", "in_place", "dead", "autovacuums")
    server.execute_at(url, "SELECT pg_stat_force_next_flush()")
    rows = server.execute_at(
        url,
        "SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_dead_tup, autovacuum_count FROM pg_stat_user_tables "
        "WHERE schemaname = current_schema() AND n_tup_ins > 0 ORDER BY relname",
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def measure_statements(given: argparse.Namespace, server: Server, batch: int) -> dict[str, Any]:
    """Measure the statement that accepts a batch, alone on one connection, without a gateway."""
    url = server.make_place()

    async def make_tables() -> None:
        await open_store(Settings(url)).close()

    asyncio.run(make_tables())
    targets = [Target(f"route{n}", None) for n in range(given.routes)]
    taken, used, started = 0, database_cpu(server), time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection:
        while time.perf_counter() - started < given.seconds / 2:
            signals = [make_signal(order=str(taken + n), id=0) for n in range(batch)]
            rows = [accept.accept_row(Accept(signal, targets, (), False), {}) for signal in signals]
            connection.execute(accept.ACCEPT.encode(), (dumps(rows),))
            taken += batch
        took = time.perf_counter() - started
    used = database_cpu(server) - used
    return {"batch": batch, "rate": taken / took, "per_cpu": taken / used, "database": used / took}


def table(turns: dict[str, dict[str, Any]]) -> str:
    lines = ["| | " + " | ".join(turns) + " |", "|---" * (len(turns) + 1) + "|"]
    for label, name, form in ROWS:
        cells = ["" if turn[name] is None else form.format(turn[name]) for turn in turns.values()]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--routes", type=int, default=2)
    parser.add_argument("--connections", type=int, default=96, help="of each gateway's load")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="where the stores are")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    server = Server({"fsync": "on"}, parent=given.directory)
    conditions = rig.describe(rig.conditions(given.directory))
    turns = {"SQLite": measure(given, 1, None)}
    for gateways in (1, 2, 3):
        rig.tell(f"{gateways} gateway(s)")
        turns[f"{gateways} on PostgreSQL"] = measure(given, gateways, server)
    alone = [measure_statements(given, server, batch) for batch in BATCHES]
    if given.json:
        print(json.dumps({"conditions": conditions, "turns": turns, "statements": alone}))
        return
    print(f"PostgreSQL {server.version}; {conditions}\n\n{table(turns)}\n")
    for one in alone:
        print("statements alone, {batch} a batch: {rate:.0f} signals/s, {per_cpu:.0f} per database CPU s".format(**one))
    for row in turns["3 on PostgreSQL"]["tables"]:
        print("{table}: {inserted} in, {updated} changed, {in_place} in place, {dead} dead".format(**row))


if __name__ == "__main__":
    main()
