"""Nothing that was answered 200 is lost, whenever the gateway is killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.store import Settings, open_store
from gateway.store.contract import Store
from tests.support.crash import CrashRun, Stock
from tests.support.factory import make_signal
from tests.support.postgres import Server

DAY = 86400.0


@pytest.mark.timeout(0)  # enough time for the kills asked for
@pytest.mark.parametrize(("database", "option"), [("sqlite", "--kills"), ("postgres", "--postgres-kills")])
def test_nothing_is_lost_by_kills(
    tmp_path: Path, request: pytest.FixtureRequest, remark: Callable[[str], None], database: str, option: str
) -> None:
    kills, seed = request.config.getoption(option), request.config.getoption("--crash-seed")
    store = request.getfixturevalue("postgres_url") if database == "postgres" else ""

    async def run() -> None:
        stock = await CrashRun(tmp_path, kills, seed, store).run()
        remark(f"{database}, seed {seed}: {stock}")
        assert stock.answered > kills
        assert stock.lost == []
        assert stock.disordered == []
        assert stock.wrong_states == []
        assert stock.csv_wrong == []
        assert stock.audit[0] == 0, stock.audit[1]
        assert stock.csv_files > 3
        assert stock.alerts
        assert {*stock.alerts.values()} == {1}
        raised, cleared = ({alert for alert, told in stock.alerts if told == state} for state in ("raised", "cleared"))
        assert raised == cleared
        for route, counts in stock.ledger.items():
            ended = {name: counts[name] for name in ("delivered", "pending", "dead", "filtered")}
            assert counts["accepted"] == sum(ended.values()), (route, counts)
            assert counts["pending"] == counts["dead"] == 0

    asyncio.run(run())


class CleanedRun(CrashRun):
    """Meanwhile another gateway drops partitions one by one; each has signals of its own account."""

    dropped = 0
    _enough_dropped = False

    async def run(self) -> Stock:
        self._cleaning = asyncio.ensure_future(self._clean())
        return await super().run()

    async def _drain(self) -> None:
        self._enough_dropped = True
        await self._cleaning
        await super()._drain()

    async def _clean(self) -> None:
        store, now, number = open_store(Settings(self.store)), time.time(), 0
        old = now - 100 * DAY
        signal = replace(make_signal(account="other", id=0), received_at=datetime.fromtimestamp(old, UTC))
        try:
            while not self._enough_dropped:
                number += 1
                await insist(lambda: store.make_partitions(old, 8 * DAY))
                await store.accept(replace(signal, order=str(number), identity=str(number)), [], [], False)
                self.dropped += await insist(lambda: drop(store, now - 90 * DAY))
                await asyncio.sleep(0.5)  # a gateway does this once an hour; without a pause all others would wait
        finally:
            await store.close()


async def insist(work: Callable[[], Awaitable[int]]) -> int:
    while True:
        try:
            return await work()
        except StoreError as error:  # it gave up, because it never got the lock
            if "to be tried again" not in str(error):
                raise


async def drop(store: Store, before: float) -> int:
    return sum([partition.signals async for partition in store.drop_partitions(before, dead=False)])


@pytest.mark.timeout(0)
def test_nothing_is_lost_while_partitions_are_dropped(
    tmp_path: Path, request: pytest.FixtureRequest, postgres: Server, postgres_url: str
) -> None:
    async def run() -> None:
        run = CleanedRun(tmp_path, 2, request.config.getoption("--crash-seed"), postgres_url)
        stock = await run.run()
        assert run.dropped > 2
        assert (stock.lost, stock.disordered, stock.csv_wrong) == ([], [], [])
        assert stock.audit[0] == 0, stock.audit[1]

    asyncio.run(run())
    # The gateway made partitions before it accepted its first signal.
    assert postgres.execute_at(postgres_url, "SELECT count(*) FROM signals_default") == [(0,)]
