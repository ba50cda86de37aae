"""Nothing that was answered 200 is lost, whenever the gateway is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.crash import CrashRun


@pytest.mark.timeout(0)  # as long as the kills asked for take
def test_nothing_is_lost_by_kills(
    tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    kills, seed = pytestconfig.getoption("--kills"), pytestconfig.getoption("--crash-seed")

    async def run() -> None:
        stock = await CrashRun(tmp_path, kills, seed).run()
        with capsys.disabled():
            print(f"\nseed {seed}: {stock}")
        assert stock.answered > kills
        assert stock.lost == []
        assert stock.disordered == []
        assert stock.csv_wrong == []
        for route, counts in stock.ledger.items():
            ended = {name: counts[name] for name in ("delivered", "pending", "dead", "filtered")}
            assert counts["accepted"] == sum(ended.values()), (route, counts)
            assert counts["pending"] == counts["dead"] == 0

    asyncio.run(run())
