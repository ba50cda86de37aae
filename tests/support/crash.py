"""Runs a gateway under load, kills it again and again, and takes stock in the end."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from cloudsignal_csv.rows import Format
from gateway.model import SecretValue, Signal, identity_of
from gateway.signal_types import GATEWAY_ALERT
from gateway.simulate import Answer, RetrySchedule, Sender, Target, disturb, simulate_orders
from gateway.store import open_store
from gateway.store.contract import Settings, Store
from gateway.store.values import Filter
from tests.support import recorder
from tests.support.faults import points_on
from tests.support.ledger import read_ledger
from tests.support.order_check import find_wrong_states
from tests.support.payloads import KEY
from tests.support.process import Gateway, free_port, run_cli

CONFIG = """\
server: {{listen: 127.0.0.1:{port}}}
store: {{url: "{store}"}}
plugins: [csv, recorder]
tenant: acme
watches:
  not-shipped: {{after: ItemProduced, expect: ItemShipped, within: 1s}}
accounts:
  bookshop:
    keys: [{key}]
    routes:
      export: {{sink: csv, options: {{directory: exports}}}}
      rotated: {{sink: csv, options: {{directory: "{{account}}", rotate: 4KB, gzip: true}}}}
      erp: {{sink: recorder, options: {{file: erp.jsonl}}}}
      alerts:
        sink: recorder
        signals: [ItemError, ItemCanceled, GatewayAlert]
        order: none
        options: {{file: alerts.jsonl}}
"""


@dataclass(slots=True)
class Stock:
    """Findings after a run. `doubled` counts repeated arrivals per route; `audit` is the exit code and the output of
    `cloudsignal audit`. `alerts` counts the signals that tell of each alert's state."""

    answered: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    wrong_states: list[str] = field(default_factory=list)
    doubled: dict[str, int] = field(default_factory=dict)
    csv_rows: int = 0
    csv_files: int = 0
    csv_wrong: list[str] = field(default_factory=list)
    ledger: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    audit: tuple[int, str] = (-1, "")
    alerts: Counter[tuple[int, str]] = field(default_factory=Counter)

    def __str__(self) -> str:
        kills = ", ".join(f"{point} {count}" for point, count in sorted(self.kills.items()))
        return (
            f"{self.answered} signals answered 200 or 204; {self.kills.total()} kills ({kills}); "
            f"{len(self.alerts) // 2} alerts; {len(self.lost)} lost, {len(self.disordered)} out of order, "
            f"{self.csv_rows} rows in {self.csv_files} files, {len(self.csv_wrong)} of them wrong; "
            f"came again: {self.doubled}"
        )


class CrashRun:
    """One run in a folder. Its moments are drawn from `seed`; `points` names the fault points to use beside plain
    kills at random answers. `store` is a URL; as a rule, a file in the folder."""

    def __init__(self, folder: Path, kills: int, seed: int, store: str = "", points: Iterable[str] = ()) -> None:
        self.folder = folder
        self.store = store or f"sqlite:///{folder}/gateway.db"
        self.stock = Stock()
        self._rng = random.Random(seed)
        self._points = [*points] or points_on(store)
        self._kills = kills
        self._answered: dict[str, Answer] = {}
        self._progress = asyncio.Event()
        self._port = free_port()
        recorder.install(folder / "path")
        (folder / "gateway.yaml").write_text(CONFIG.format(port=self._port, key=KEY, store=self.store))
        environ = {"PYTHONPATH": f"{Path.cwd()}:{folder / 'path'}", "TEST_LEASE": "3", "TEST_ALERT_ROUNDS": "0.2"}
        self._environ = environ
        self._gateway = Gateway(folder, environ)

    async def run(self) -> Stock:
        """Send, kill, start again; then let it finish, and take stock."""
        sending = asyncio.create_task(self._send())
        for _ in range(self._kills):
            await self._live_and_die()
        await asyncio.to_thread(self._gateway.start)
        self._enough = True
        await sending
        await self._drain()
        assert await asyncio.to_thread(self._gateway.terminate) == 0
        await self._take_stock()
        audit = await asyncio.to_thread(
            run_cli, "audit", "--config", "gateway.yaml", cwd=self.folder, env=self._environ
        )
        self.stock.audit = (audit.returncode, audit.stdout + audit.stderr)
        return self.stock

    # -- load

    _enough = False

    async def _send(self) -> None:
        """Yield orders until there were enough kills; every order that was begun is sent to its end."""
        target = Target(f"http://127.0.0.1:{self._port}/signals/bookshop", SecretValue(KEY))
        # A gateway starts for a second or more: trying more often would take the CPU time from it.
        schedule = RetrySchedule(attempts=100_000, first=0.1, factor=1.5, cap=0.5)
        sender = Sender([target], connections=16, rate=200, schedule=schedule, on_answer=self._note)
        await sender.run(self._events())

    def _events(self) -> Iterable[tuple[datetime, dict[str, str]]]:
        start = datetime(2020, 11, 24, tzinfo=UTC)  # so long ago that each item is late once it is produced
        for day in range(1_000_000):
            lives = simulate_orders(self._rng, start + timedelta(days=day), timedelta(days=1), 5, prefix=f"D{day}-")
            yield from disturb(lives, self._rng, shuffle=0.02, duplicates=0.05)
            if self._enough:
                return

    def _note(self, answer: Answer) -> None:
        if answer.accepted:
            self._answered[identity_of("bookshop", answer.payload)] = answer
        self._progress.set()

    # -- lives and deaths

    async def _live_and_die(self) -> None:
        point = self._rng.choice(["kill", *self._points])
        fault = None if point == "kill" else (point, self._rng.randint(1, 60))
        self.stock.kills[point] += 1
        await asyncio.to_thread(self._gateway.start, fault)
        if fault is None:
            await self._wait_for_answers(self._rng.randint(1, 200))
            await asyncio.to_thread(self._gateway.kill)
        else:
            code = await asyncio.to_thread(self._gateway.wait)
            assert code == -9, f"{point}: the gateway ended with {code}"

    async def _wait_for_answers(self, count: int) -> None:
        goal = len(self._answered) + count
        while len(self._answered) < goal:
            self._progress.clear()
            await self._progress.wait()

    async def _drain(self) -> None:
        """Wait until nothing is left to do, as long as something changes: after hundreds of kills it may be much."""
        store = open_store(Settings(self.store))
        try:
            last, deadline = (0, 0, 0.0), 0.0
            while any(left := await count_left(store)):
                if left != last:
                    last, deadline = left, time.monotonic() + 60
                assert time.monotonic() < deadline, f"still left: {left}"
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.Event().wait(), 0.1)
        finally:
            await store.close()

    # -- stock

    async def _take_stock(self) -> None:
        self.stock.answered = len(self._answered)
        store = open_store(Settings(self.store))
        try:
            rows = await store.list_signals(Filter(), 10_000_000)
            self.stock.ledger = await read_ledger(store)
            self.stock.wrong_states = await find_wrong_states(store, [row.signal for row in rows])
        finally:
            await store.close()
        signals = {row.signal.identity: row.signal for row in rows}
        self.stock.lost += [f"{identity}: not stored" for identity in self._answered if identity not in signals]
        self.stock.alerts.update(
            (signal.payload["alert"], signal.payload["state"])
            for signal in signals.values()
            if signal.type == GATEWAY_ALERT
        )
        told = ("ItemError", "ItemCanceled", GATEWAY_ALERT)
        alerts = {identity for identity, signal in signals.items() if signal.type in told}
        self._check_recorded("erp", set(signals))
        self._check_recorded("alerts", alerts)
        self._check_csv("export", (self.folder / "exports").glob("*.csv"), signals)
        rotated = self.folder / "bookshop"
        self._check_csv("rotated", [*rotated.glob("*.csv.gz"), *rotated.glob("*.csv.part")], signals)

    def _check_recorded(self, route: str, wanted: set[str]) -> None:
        arrivals = [orjson.loads(line) for line in (self.folder / f"{route}.jsonl").read_bytes().splitlines()]
        counts = Counter(arrival["key"] for arrival in arrivals)
        self.stock.lost += [f"{key}: not at {route}" for key in wanted - set(counts)]
        self.stock.doubled[route] = counts.total() - len(counts)
        newest: dict[str, int] = defaultdict(int)
        for arrival in arrivals if route == "erp" else ():
            # A repeat of the lane's last is at-least-once; anything older is out of order.
            if arrival["id"] < newest[arrival["order"]]:
                self.stock.disordered.append(f"{arrival['key']} at {route}")
            newest[arrival["order"]] = max(newest[arrival["order"]], arrival["id"])

    def _check_csv(self, route: str, paths: Iterable[Path], signals: Mapping[str, Signal]) -> None:
        """Check each file byte for byte against the store's signals. Each signal must be in one of them, once."""
        form, counts = Format(), Counter[str]()
        for path in paths:
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            found = [row["identity"] for row in csv.DictReader(io.StringIO(data.decode(), newline=""))]
            if data != form.header() + form.rows(signals[key] for key in found if key in signals):
                self.stock.csv_wrong.append(f"{path.name}: other bytes than the signals make")
            counts.update(found)
            self.stock.csv_files += 1
        self.stock.csv_rows += counts.total()
        self.stock.csv_wrong += [f"{key}: {count} times at {route}" for key, count in counts.items() if count > 1]
        self.stock.lost += [f"{key}: not at {route}" for key in set(signals) - set(counts)]


async def count_left(store: Store) -> tuple[int, int, float]:
    """Return the numbers of pending deliveries and open alerts, and the first signal that is in no order state."""
    pending = sum(backlog.pending for backlog in (await store.read_backlog()).values())
    watched = sum(bool(alert.condition.watch) for alert in (await store.read_open_alerts()).values())
    return pending, watched, await store.oldest_unfollowed() or 0.0
