"""Gateways that share a PostgreSQL behind a balancer, each with its own network to it, and the events that befall
them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from gateway.model import SecretValue, identity_of
from gateway.simulate import Answer, RetrySchedule, Sender, Target, disturb, simulate_orders
from gateway.store import open_store
from gateway.store.contract import Settings
from gateway.store.values import Filter
from tests.support import recorder
from tests.support.ledger import read_ledger
from tests.support.order_check import find_wrong_states
from tests.support.payloads import KEY
from tests.support.pooler import Pooler
from tests.support.postgres import Server
from tests.support.process import ROOT, Gateway, free_port
from tests.support.proxy import Connect, Proxy, at_port, at_socket

LEASE = 2.0
CONFIG = """\
server: {{listen: "127.0.0.1:{port}", grace: 2s}}
store: {{url: "{url}", pooler: {pooler}}}
plugins: [recorder]
tenant: acme
accounts:
  bookshop:
    keys: [{key}]
    routes:
      erp: {{sink: recorder, retry: {{first: 0.1s, cap: 0.5s}}, options: {{file: {folder}/erp.jsonl}}}}
      alerts: {{sink: recorder, signals: [ItemError], order: none, options: {{file: {folder}/alerts.jsonl}}}}
"""


@dataclass(slots=True)
class Stock:
    """Findings after a run. `late` counts repeats that came after a later signal of their lane: a gateway that was
    stopped during a delivery sends it when it continues."""

    answered: int = 0
    events: Counter[str] = field(default_factory=Counter)
    codes: Mapping[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    wrong_states: list[str] = field(default_factory=list)
    again: int = 0
    late: int = 0
    ledger: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        events = ", ".join(f"{name} {count}" for name, count in sorted(self.events.items()))
        return (
            f"{self.answered} signals answered 200 or 204 ({dict(self.codes)}); {events}; {len(self.lost)} lost, "
            f"{len(self.disordered)} out of order; came again: {self.again}, after a later one: {self.late}"
        )


def way_to(server: Server | Pooler) -> Connect:
    return at_port(server.port) if isinstance(server, Pooler) else at_socket(server.socket)


class Fleet:
    """`count` gateways in `folder`, on the servers given: the first is the primary. Or behind one pooler."""

    def __init__(
        self, folder: Path, servers: Sequence[Server | Pooler], options: str, count: int = 3, seed: int = 1
    ) -> None:
        self.folder = folder
        self.stock = Stock()
        self.rng = random.Random(seed)
        self.networks: list[list[Proxy]] = []
        self.gateways: list[Gateway] = []
        self._answered: dict[str, Answer] = {}
        self._enough = False
        ports = [free_port() for _ in range(count)]
        recorder.install(folder / "path")
        pooled = isinstance(servers[0], Pooler)
        environ = {"PYTHONPATH": f"{ROOT}:{folder / 'path'}", "TEST_LEASE": str(LEASE)}
        for number, port in enumerate(ports):
            network = [Proxy([way_to(server)], free_port()) for server in servers]
            hosts = ",".join(f"127.0.0.1:{proxy.port}" for proxy in network)
            url = f"postgresql://postgres@{hosts}/postgres?connect_timeout=2{options}"
            home = folder / f"gateway{number}"
            home.mkdir()
            values = {"port": port, "url": url, "key": KEY, "folder": folder, "pooler": str(pooled).lower()}
            (home / "gateway.yaml").write_text(CONFIG.format(**values))
            self.networks.append(network)
            self.gateways.append(Gateway(home, environ))
        targets: list[Connect] = [at_port(port) for port in ports]
        self.balancer = Proxy(targets, free_port(), self.rng)

    async def run(self, store: str, events: Iterable[Callable[[Fleet], Awaitable[None]]]) -> Stock:
        """Start all, let the events happen under load, one after the other; then let it finish, and take stock of the
        store at the URL."""
        proxies = [self.balancer, *(proxy for network in self.networks for proxy in network)]
        for proxy in proxies:
            await proxy.start()
        await asyncio.gather(*(asyncio.to_thread(gateway.start) for gateway in self.gateways))
        sending = asyncio.create_task(self._send())
        for event in events:
            await self.wait_for_answers(60)
            self.stock.events[event.__name__.strip("_")] += 1
            await event(self)
        await self.wait_for_answers(60)
        self._enough = True
        self.stock.codes = await sending
        await self._drain(store)
        for gateway in self.gateways:
            assert await asyncio.to_thread(gateway.terminate) == 0
        for proxy in proxies:
            await proxy.stop()
        await self._take_stock(store)
        return self.stock

    # -- load

    async def _send(self) -> Mapping[str, int]:
        target = Target(f"http://127.0.0.1:{self.balancer.port}/signals/bookshop", SecretValue(KEY))
        schedule = RetrySchedule(attempts=100_000, first=0.05, factor=1.5, cap=0.5)
        sender = Sender([target], connections=24, rate=150, schedule=schedule, timeout=3, on_answer=self._note)
        return (await sender.run(self._events())).codes

    def _events(self) -> Iterable[tuple[datetime, dict[str, str]]]:
        start = datetime(2026, 11, 24, tzinfo=UTC)
        for day in range(1_000_000):
            lives = simulate_orders(self.rng, start + timedelta(days=day), timedelta(days=1), 5, prefix=f"D{day}-")
            for event in disturb(lives, self.rng, shuffle=0.02, duplicates=0.05):
                if self._enough:
                    return
                yield event

    def _note(self, answer: Answer) -> None:
        if answer.accepted:
            self._answered[identity_of("bookshop", answer.payload)] = answer

    async def wait_for_answers(self, count: int) -> None:
        goal, deadline = len(self._answered) + count, time.monotonic() + 60
        while len(self._answered) < goal:
            assert time.monotonic() < deadline, "no more signals are accepted"
            await asyncio.sleep(0.05)

    # -- stock

    async def _drain(self, url: str) -> None:
        store = open_store(Settings(url))
        try:
            deadline = time.monotonic() + 60
            while await store.list_deliveries(Filter(state="pending"), 1):
                assert time.monotonic() < deadline, "deliveries are still pending"
                await asyncio.sleep(0.1)
        finally:
            await store.close()

    async def _take_stock(self, url: str) -> None:
        store = open_store(Settings(url))
        try:
            signals = {row.signal.identity: row.signal for row in await store.list_signals(Filter(), 10_000_000)}
            self.stock.ledger = await read_ledger(store)
            self.stock.wrong_states = await find_wrong_states(store, signals.values())
        finally:
            await store.close()
        self.stock.answered = len(self._answered)
        self.stock.lost += [f"{identity}: not stored" for identity in self._answered if identity not in signals]
        arrivals = [orjson.loads(line) for line in (self.folder / "erp.jsonl").read_bytes().splitlines()]
        newest: dict[str, int] = defaultdict(int)
        seen: set[str] = set()
        for arrival in arrivals:
            earlier = arrival["id"] < newest[arrival["order"]]
            if arrival["key"] in seen:
                self.stock.again += 1
                self.stock.late += earlier
            elif earlier:
                self.stock.disordered.append(arrival["key"])
            seen.add(arrival["key"])
            newest[arrival["order"]] = max(newest[arrival["order"]], arrival["id"])
        self.stock.lost += [f"{identity}: not delivered" for identity in signals.keys() - seen]


# -- what can happen


async def kill(fleet: Fleet) -> None:
    """A gateway is killed, and started again."""
    gateway = fleet.rng.choice(fleet.gateways)
    await asyncio.to_thread(gateway.kill)
    await fleet.wait_for_answers(20)
    await asyncio.to_thread(gateway.start)


async def pause(fleet: Fleet) -> None:
    """A gateway stands still for longer than its leases."""
    gateway = fleet.rng.choice(fleet.gateways)
    os.kill(gateway.pid, signal.SIGSTOP)
    await asyncio.sleep(LEASE * 2)
    with suppress(ProcessLookupError):
        os.kill(gateway.pid, signal.SIGCONT)


async def cut(fleet: Fleet) -> None:
    """A gateway's way to the database breaks."""
    network = fleet.rng.choice(fleet.networks)
    for proxy in network:
        proxy.cut()
    await asyncio.sleep(LEASE)
    for proxy in network:
        proxy.mend()


async def hang(fleet: Fleet) -> None:
    """Cut a gateway's network, so that connections hang and no error tells it."""
    network = fleet.rng.choice(fleet.networks)
    for proxy in network:
        proxy.hang()
    await asyncio.sleep(LEASE * 2)
    for proxy in network:
        proxy.mend()


async def slow(fleet: Fleet) -> None:
    """A gateway's way to the database takes its time."""
    network = fleet.rng.choice(fleet.networks)
    for proxy in network:
        proxy.delay = 0.03
    await fleet.wait_for_answers(60)
    for proxy in network:
        proxy.mend()
