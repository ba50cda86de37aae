"""Gateways that share a PostgreSQL lose nothing, whatever fails: a gateway, the database or the network between."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import fleet
from tests.support.fleet import Fleet, Stock
from tests.support.pooler import Pooler
from tests.support.postgres import Server


def check(stock: Stock, remark: Callable[[str], None]) -> None:
    remark(f"fleet: {stock}")
    assert stock.lost == []
    assert stock.disordered == []
    assert stock.wrong_states == []
    for route, counts in stock.ledger.items():
        ended = {name: counts[name] for name in ("delivered", "pending", "dead", "filtered")}
        assert counts["accepted"] == sum(ended.values()), (route, counts)
        assert counts["pending"] == counts["dead"] == 0


@pytest.mark.timeout(0)  # enough time for the events asked for
def test_nothing_is_lost_by_three_gateways(
    tmp_path: Path, pytestconfig: pytest.Config, remark: Callable[[str], None]
) -> None:
    server = Server()
    rng = random.Random(pytestconfig.getoption("--crash-seed"))

    async def restart(running: Fleet) -> None:
        """The database stops, in order or not, and comes back."""
        await asyncio.to_thread(server.stop, rng.choice([signal.SIGINT, signal.SIGQUIT]))
        await asyncio.sleep(1)
        await asyncio.to_thread(server.start)

    kinds = [fleet.kill, fleet.pause, restart, fleet.cut, fleet.slow, fleet.hang]
    more = max(0, pytestconfig.getoption("--fleet-events") - len(kinds))
    events = rng.sample(kinds, len(kinds)) + rng.choices(kinds, k=more)
    check(asyncio.run(Fleet(tmp_path, [server], "", seed=rng.random()).run(server.url(), events)), remark)


@pytest.mark.timeout(0)
def test_nothing_is_lost_when_a_replica_takes_over(tmp_path: Path, remark: Callable[[str], None]) -> None:
    primary = Server()
    replica = Server(copy_of=primary)
    primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'replica'")
    primary.execute("SELECT pg_reload_conf()")

    async def promote(running: Fleet) -> None:
        """The primary dies under load, and its replica is promoted."""
        assert primary.execute("SELECT sync_state FROM pg_stat_replication") == [("sync",)]
        await asyncio.to_thread(primary.stop, signal.SIGQUIT)
        await asyncio.sleep(1)
        await asyncio.to_thread(replica.execute, "SELECT pg_promote()")

    running = Fleet(tmp_path, [primary, replica], "&target_session_attrs=read-write")
    check(asyncio.run(running.run(replica.url(), [promote])), remark)


@pytest.mark.timeout(0)
def test_nothing_is_lost_behind_a_transaction_pooler(tmp_path: Path, remark: Callable[[str], None]) -> None:
    """Two gateways share two database sessions."""
    server = Server()
    running = Fleet(tmp_path, [Pooler(server)], "", count=2)
    check(asyncio.run(running.run(server.url(), [fleet.kill, fleet.hang, fleet.cut])), remark)
