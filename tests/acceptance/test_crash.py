"""Nothing that was answered 200 is lost, whenever the gateway is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.crash import CrashRun


@pytest.mark.timeout(0)  # as long as the kills asked for take
@pytest.mark.parametrize(("database", "option"), [("sqlite", "--kills"), ("postgres", "--postgres-kills")])
def test_nothing_is_lost_by_kills(
    tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], database: str, option: str
) -> None:
    kills, seed = request.config.getoption(option), request.config.getoption("--crash-seed")
    store = request.getfixturevalue("postgres_url") if database == "postgres" else ""

    async def run() -> None:
        stock = await CrashRun(tmp_path, kills, seed, store).run()
        with capsys.disabled():
            print(f"\n{database}, seed {seed}: {stock}")
        assert stock.answered > kills
        assert stock.lost == []
        assert stock.disordered == []
        assert stock.csv_wrong == []
        assert stock.audit[0] == 0, stock.audit[1]
        assert stock.csv_files > 3
        for route, counts in stock.ledger.items():
            ended = {name: counts[name] for name in ("delivered", "pending", "dead", "filtered")}
            assert counts["accepted"] == sum(ended.values()), (route, counts)
            assert counts["pending"] == counts["dead"] == 0

    asyncio.run(run())
