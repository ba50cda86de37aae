"""A load generator: sends different signals over many connections, and prints the results as JSON.

    python -m tests.bench.load --port 8080 --path /signals/bench --pid 123

It writes to sockets itself, without an HTTP client, so that it is not the bottleneck. It also prints its own CPU share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import time
from array import array
from collections import Counter
from datetime import UTC, datetime
from typing import Any, cast

from gateway.simulate import percentile
from tests.bench import rig
from tests.support import payloads

TYPES = ("CloudprinterOrderValidated", "ItemValidated", "ItemProduce", "ItemProduced", "ItemPacked", "ItemShipped")
MARK = b"########"
"""Placeholder of the order's number in a template. It is as wide as the number, so that lengths stay right."""
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def make_template(kind: str, path: str, key: str, second: int) -> bytes:
    """Return a request of this type as bytes, with MARK in its ids, for an event at this second (epoch)."""
    mark, happened = MARK.decode(), datetime.fromtimestamp(second, UTC).isoformat()
    ids = {"order": f"{mark}0000", "order_reference": f"PO-{mark}", "datetime": happened}
    if kind.startswith("Item"):
        ids |= {"item": f"{mark}0001", "item_reference": f"PO-{mark}-1"}
    body = payloads.request(payloads.example(kind, **ids), key)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


class Load:
    """Sends requests and counts the answers. Each order has a signal of each of TYPES; `first` is the first order's
    number."""

    def __init__(self, path: str, key: str, first: int = 0) -> None:
        self.path = path
        self.key = key
        self.first = first
        self.second = 0
        self.templates: list[bytes] = []
        self.sent = 0
        self.accepted = 0
        self.lost = 0
        self.codes: Counter[str] = Counter()
        self.latencies = array("d")

    def next_request(self) -> bytes:
        order, step = divmod(self.sent, len(TYPES))
        self.sent += 1
        return self.make_request(order, step)

    def make_request(self, order: int, step: int) -> bytes:
        """Return an order's signal of TYPES[step] for an event at the present time, as real signals have."""
        if (second := int(time.time())) != self.second:
            self.second = second
            self.templates = [make_template(kind, self.path, self.key, second) for kind in TYPES]
        return self.templates[step].replace(MARK, b"%08d" % (self.first + order))

    def answered(self, code: bytes, seconds: float) -> None:
        self.accepted += code == b"200"
        self.codes[code.decode()] += 1
        self.latencies.append(seconds * 1000)

    def forget(self) -> None:
        """Drop the times so far, which were a warm-up; `accepted` goes on."""
        self.codes.clear()
        del self.latencies[:]


class Connection(asyncio.Protocol):
    """Sends a request, and the next as soon as the answer comes."""

    transport: asyncio.Transport
    started: float

    def __init__(self, load: Load) -> None:
        self.load = load
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transport is no subclass
        self.send()

    def send(self) -> None:
        self.started = time.perf_counter()
        self.transport.write(self.load.next_request())

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, complete, body = self.received.partition(b"\r\n\r\n")
        if not complete:
            return
        length = LENGTH.search(head)
        if length and len(body) < int(length[1]):
            return
        self.received = b""
        self.load.answered(head[9:12], time.perf_counter() - self.started)
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.lost += 1


class Usage:
    """Measures the CPU seconds of this process and of the server, and the time, since its creation."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.start = self.now()

    def now(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), rig.cpu_seconds(self.pid)

    def since(self) -> tuple[float, float, float]:
        wall, own, server = (now - then for now, then in zip(self.now(), self.start, strict=True))
        return wall, own, server


async def run(load: Load, port: int, pid: int, connections: int, warm_up: float, seconds: float) -> dict[str, Any]:
    """Load the server on a port, and return the figures of the time after the warm-up."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Connection(load), "127.0.0.1", port) for _ in range(connections)]
    await asyncio.sleep(warm_up)
    load.forget()
    usage = Usage(pid)
    await asyncio.sleep(seconds)
    wall, own, server = usage.since()
    codes, latencies, lost, rss = dict(load.codes), sorted(load.latencies), load.lost, rig.memory(pid)
    for transport, _ in made:
        transport.abort()
    return {
        "rate": codes.get("200", 0) / wall,
        "p50": percentile(latencies, 0.5),
        "p99": percentile(latencies, 0.99),
        "rss": rss,
        "cpu": server / wall,
        "each": server / max(1, codes.get("200", 0)) * 1e6,
        "load_cpu": own / wall,
        "codes": codes,
        "lost": lost,
        "accepted": load.accepted,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's process, for its CPU and memory")
    parser.add_argument("--core", type=int, help="the core to run on")
    parser.add_argument("--path", default="/signals/bench")
    parser.add_argument("--first", type=int, default=0, help="the first order's number: loads at once are to differ")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    load = Load(given.path, payloads.key_of(given.path.rpartition("/")[2]), given.first)
    print(json.dumps(asyncio.run(run(load, given.port, given.pid, given.connections, given.warm_up, given.seconds))))


if __name__ == "__main__":
    main()
