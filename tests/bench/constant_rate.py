"""A sender of constant rate and the target of its deliveries: times from sending to answer, and to arrival.

    python -m tests.bench.constant_rate --port 8080 --path /signals/healthy --target 8090 --rate 100

Both are one process, so one clock gives both times. A signal's time counts from its planned moment, so a gateway that
delays one answer does not delay the next measurement.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from typing import Any

import orjson

from gateway.cli.serve import find_loop_factory
from gateway.simulate import percentile
from tests.bench.load import Connection, Load
from tests.bench.target import Target
from tests.support import payloads

WAIT = 10.0
"""Seconds after the last signal; an answer or arrival that comes later counts as lost."""
ORDER_LENGTH = 12


class ConstantRate(Load):
    """Sent signals with their answers and arrivals. Times are in seconds of `perf_counter`."""

    def __init__(self, path: str, key: str) -> None:
        super().__init__(path, key)
        self.idle: list[PlannedConnection] = []
        self.due: dict[int, float] = {}
        self.answers: dict[int, float] = {}
        self.arrivals: dict[int, float] = {}

    def arrived(self, body: bytes) -> None:
        """Note a delivery's arrival. Its order identifies the signal, because each order here has one."""
        order = orjson.loads(body)["order"]
        if len(order) == ORDER_LENGTH:  # other orders belong to the signals that filled the store
            self.arrivals.setdefault(int(order[:8]), time.perf_counter())

    def next_request(self) -> bytes:
        number, self.sent = self.sent, self.sent + 1
        return self.make_request(number, 0)


class PlannedConnection(Connection):
    """A connection that sends at planned times, whether or not it was answered."""

    load: ConstantRate
    number = 0

    def send(self) -> None:
        """Become idle, once connected and after each answer."""
        self.load.idle.append(self)

    def send_now(self, due: float) -> None:
        self.number = self.load.sent
        self.load.due[self.number] = due
        self.started = due
        self.transport.write(self.load.next_request())

    def data_received(self, data: bytes) -> None:
        answered = self.load.codes.total()
        super().data_received(data)
        if self.load.codes.total() > answered:
            self.load.answers[self.number] = time.perf_counter()


async def run(port: int, path: str, rate: float, warm_up: float, seconds: float, target: int | None) -> dict[str, Any]:
    """Return the figures of the signals after the warm-up, in milliseconds."""
    loop = asyncio.get_running_loop()
    sender = ConstantRate(path, payloads.key_of(path.rpartition("/")[2]))
    if target:
        await loop.create_server(lambda: Target(sender.arrived), "127.0.0.1", target)
    began = time.perf_counter()
    count, first = round(rate * (warm_up + seconds)), round(rate * warm_up)
    for number in range(count):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if not sender.idle:
            await loop.create_connection(lambda: PlannedConnection(sender), "127.0.0.1", port)
        sender.idle.pop().send_now(due)
        if number == first:
            sender.codes.clear()
    await wait_for_the_rest(sender, count, target is not None)
    return figures(sender, range(first, count))


async def wait_for_the_rest(sender: ConstantRate, count: int, arrive: bool) -> None:
    deadline = time.perf_counter() + WAIT
    waited_for = sender.arrivals if arrive else sender.answers
    while len(waited_for) < count and time.perf_counter() < deadline:
        await asyncio.sleep(0.05)


def figures(sender: ConstantRate, numbers: range) -> dict[str, Any]:
    acks = sorted((sender.answers[n] - sender.due[n]) * 1000 for n in numbers if n in sender.answers)
    delays = sorted((sender.arrivals[n] - sender.due[n]) * 1000 for n in numbers if n in sender.arrivals)
    return {
        "ack p50": percentile(acks, 0.5),
        "ack p99": percentile(acks, 0.99),
        "delay p50": percentile(delays, 0.5),
        "delay p99": percentile(delays, 0.99),
        "missing": len(numbers) - len(delays),
        "codes": dict(Counter(sender.codes)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/signals/healthy")
    parser.add_argument("--target", type=int, help="the port on which to listen for deliveries")
    parser.add_argument("--core", type=int, help="the core to run on")
    parser.add_argument("--rate", type=float, default=100.0, help="signals a second")
    parser.add_argument("--warm-up", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    work = run(given.port, given.path, given.rate, given.warm_up, given.seconds, given.target)
    with asyncio.Runner(loop_factory=find_loop_factory()) as runner:
        print(json.dumps(runner.run(work)))


if __name__ == "__main__":
    main()
