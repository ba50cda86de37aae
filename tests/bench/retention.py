"""Measure PostgreSQL: removing a day of signals by row or by partition, and working on one partition or on ten.

    python -m tests.bench.retention [--signals 100000] [--json]

Signals have two deliveries each, and are written by SQL. They are removed alone, for the database's CPU time. Then they
are removed beside a gateway that accepts one signal after another, for the delay of its answers. Accepting and
delivering take turns with all signals in one partition and in ten. The server syncs every commit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.operate import purge
from gateway.store import Settings, open_store
from gateway.store.contract import Store
from gateway.store.values import ClaimRequest, Target
from tests.bench import rig
from tests.bench.custody import accept_for
from tests.bench.scale import database_cpu
from tests.contract.store_case import DELIVERED, result_of
from tests.support.factory import make_signal
from tests.support.postgres import Server

DAY = 86400.0
LONG = 90 * DAY
ROUTES = ("erp", "export")
ACCOUNT = "shop0"
BATCH = 64
PARTITIONS = {"one partition": 1, "ten partitions": 10}

# n is the id, and six signals make an order. Times are spread over the days from the first on.
SIGNALS = """
INSERT INTO signals (id, account, identity, occurred_at, type, order_id, order_reference, item, received_at, payload,
                     stage, deliveries, unrouted)
SELECT n, '{account}', md5(n::text), {first} + n * {gap}, 'ItemPacked', 'old-' || n / 6, 'PO-' || n / 6, n % 6,
       {first} + n * {gap}, '{{"note": "' || repeat('x', 300) || '"}}', 5, {routes}, ''
FROM generate_series(1::bigint, {count}) n
"""
DELIVERIES = """
INSERT INTO deliveries (signal_id, route, account, lane, state, attempts, created_at, ended_at, reason, held,
                        received_at)
SELECT id, route, account, order_id, 'delivered', 1, received_at, received_at + 1000000, '', 0, received_at
FROM signals CROSS JOIN unnest('{{{names}}}'::text[]) route
"""
NEXT = "SELECT setval(pg_get_serial_sequence('signals', 'id'), {count}); ANALYZE; CHECKPOINT"


def fill(server: Server, url: str, first: float, days: float, count: int) -> None:
    micros = round(first * 1e6)
    numbers = {"first": micros, "gap": round(days * DAY * 1e6) // (count + 1), "count": count, "routes": len(ROUTES)}
    with server.connect(url) as connection:
        for text in (SIGNALS, DELIVERIES, *NEXT.split(";")):
            connection.execute(text.format(**numbers, account=ACCOUNT, names=",".join(ROUTES)).encode())


def at_place(url: str, work: Callable[[Store, Store], Awaitable[Any]]) -> Any:
    """Run `work` with the stores of two gateways."""

    async def run() -> Any:
        one, two = open_store(Settings(url)), open_store(Settings(url))
        try:
            return await work(one, two)
        finally:
            await one.close()
            await two.close()

    return asyncio.run(run())


# -- removing


def measure_removal(server: Server, count: int, partitioned: bool, beside: bool) -> dict[str, float]:
    """Remove a day of signals from a hundred days ago, and return the figures."""
    url, now = server.make_place(), time.time()
    first = now - now % DAY - 100 * DAY

    async def prepare(store: Store, _: Store) -> None:
        for at in (first, now) if partitioned else ():
            await store.make_partitions(at, 8 * DAY)

    async def remove(store: Store) -> float:
        started = time.monotonic()
        removed = sum([partition.signals async for partition in store.drop_partitions(now - LONG, dead=False)])
        removed += sum([page.signals async for page in purge.purge_signals(store, now - LONG)])
        assert removed == count
        return time.monotonic() - started

    async def work(store: Store, other: Store) -> dict[str, float]:
        await accept_for(other, 0.5, "warm")
        if not beside:
            used = database_cpu(server)
            return {"seconds": await remove(store), "cpu": database_cpu(server) - used}
        accepting = asyncio.ensure_future(accept_for(other, 4.0, "beside"))
        removing = asyncio.ensure_future(remove(store))
        figures = await accepting
        removing.cancel()
        return figures

    at_place(url, prepare)
    fill(server, url, first, 1, count)
    return dict(at_place(url, work))


def measure_alone(server: Server) -> dict[str, float]:
    return dict(at_place(server.make_place(), lambda store, _: accept_for(store, 4.0, "alone")))


# -- working


def measure_work(server: Server, count: int, partitions: int) -> dict[str, float]:
    """Return the database's CPU per accepted signal, and per claimed and recorded delivery, in microseconds."""
    url, now = server.make_place(), time.time()
    first = now - now % DAY - 9 * DAY

    async def prepare(store: Store, _: Store) -> None:
        for day in range(10):
            await store.make_partitions(first + day * DAY, (8 if partitions > 1 else 800) * DAY)

    async def work(store: Store, _: Store) -> dict[str, float]:
        await accept_many(store, "warm", 10 * BATCH)
        await deliver_all(store)
        used = database_cpu(server)
        await accept_many(store, "new", 60 * BATCH)
        accepted = database_cpu(server)
        delivered = await deliver_all(store)
        ended = database_cpu(server)
        return {
            "accept": (accepted - used) / (60 * BATCH) * 1e6,
            "deliver": (ended - accepted) / delivered * 1e6,
        }

    at_place(url, prepare)
    fill(server, url, first, 9, count)
    return dict(at_place(url, work))


async def accept_many(store: Store, label: str, count: int) -> None:
    for batch in range(0, count, BATCH):
        numbers = [f"{label}-{number // 6}" for number in range(batch, batch + BATCH)]
        await asyncio.gather(*(accept(store, order, item) for item, order in enumerate(numbers)))


async def accept(store: Store, order: str, item: int) -> None:
    signal = make_signal(account=ACCOUNT, order=order, item=str(item), id=0)
    signal = replace(signal, received_at=datetime.now(UTC))
    await store.accept(signal, [Target(route, order) for route in ROUTES], (), False)


async def deliver_all(store: Store) -> int:
    delivered, now = 0, time.time() + 1
    while True:
        claimed = (
            await store.claim([ClaimRequest(ACCOUNT, route, BATCH) for route in ROUTES], now, now + 60)
        ).deliveries
        if not claimed:
            return delivered
        delivered += await store.record([result_of(delivery, DELIVERED, now) for delivery in claimed], {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3, help="of the work on one partition and on ten")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="where the database is")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    server = Server({"fsync": "on"}, parent=given.directory)
    conditions = rig.describe(rig.conditions(given.directory))
    beside = {"alone": measure_alone(server)}
    removal = {}
    for label, partitioned in (("row by row", False), ("as a partition", True)):
        rig.tell(label)
        beside[label] = measure_removal(server, given.signals, partitioned, beside=True)
        rest, purge.REST = purge.REST, 0.0
        removal[label] = measure_removal(server, given.signals, partitioned, beside=False)
        purge.REST = rest
    turns: dict[str, list[dict[str, float]]] = {label: [] for label in PARTITIONS}
    for _ in range(given.rounds):
        for label, partitions in PARTITIONS.items():
            rig.tell(label)
            turns[label].append(measure_work(server, given.signals, partitions))
    work = {
        label: {name: statistics.median(turn[name] for turn in taken) for name in ("accept", "deliver")}
        for label, taken in turns.items()
    }
    if given.json:
        found = {"removal": removal, "beside": beside, "work": work, "turns": turns}
        print(json.dumps({"conditions": conditions, **found}))
        return
    print(f"PostgreSQL {server.version}; {conditions}; {given.signals} signals, {len(ROUTES)} deliveries each\n")
    for label, cost in removal.items():
        print(f"removed {label}: {cost['seconds']:.2f} s, {cost['cpu']:.2f} s of the database's CPU")
    for label, cost in beside.items():
        print("accepts, {}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, at most {max:.1f} ms".format(label, **cost))
    for label, cost in work.items():
        print("{}: {accept:.0f} us of CPU a signal accepted, {deliver:.0f} us a delivery".format(label, **cost))


if __name__ == "__main__":
    main()
