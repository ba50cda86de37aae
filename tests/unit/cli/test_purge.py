"""The command that removes what is old."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.model import Attempt, Dead, Done, Kind
from gateway.store.contract import Store
from gateway.store.values import ClaimRequest, Refused, Result, Target
from tests.acceptance.test_database_commands import at
from tests.support.factory import make_signal
from tests.support.postgres import Server
from tests.unit.cli.conftest import Folder


async def fill(store: Store) -> None:
    """One delivered, one dead and one pending signal and a quarantined request, each received 100 days ago."""
    at = time.time() - 100 * 86400
    for number in range(3):
        signal = make_signal(account="bookshop", order=str(number))
        received = datetime.now(UTC) - timedelta(days=100)
        await store.accept(replace(signal, received_at=received), [Target("export", None)], [], False)
    for decision in (Done("delivered"), Dead("no such order")):
        claim = await store.claim([ClaimRequest("bookshop", "export", 1)], at + 1, at + 60)
        attempt = Attempt(1, at, 0.5, Kind.PERMANENT, "x") if isinstance(decision, Dead) else None
        await store.record([Result(claim.deliveries[0], decision, attempt, at)], {})
    await store.quarantine(Refused("bookshop", at, "{}", {}))


def test_a_dry_run_says_what_would_go(folder: Folder) -> None:
    folder.fill(fill)
    says = "would be removed; nothing was changed.\n"
    assert folder.run("purge", "--dry-run").output == f"1 signal and 0 quarantined requests {says}"
    assert (
        folder.run("purge", "--dry-run", "--older-than", "101d").output
        == f"0 signals and 0 quarantined requests {says}"
    )
    output = folder.run("purge", "--dry-run", "--dead", "--quarantine", "--json").output
    assert json.loads(output) == {"signals": 2, "quarantined": 1, "removed": False}
    assert len(folder.run("signals", "--json").output.splitlines()) == 3


def test_what_is_old_goes_and_the_history_knows(folder: Folder) -> None:
    folder.fill(fill)
    assert "1 signal with 1 delivery, and 0 quarantined requests removed." in folder.run("purge").output
    removed = json.loads(folder.run("purge", "--dead", "--quarantine", "--json").output)
    assert removed == {"signals": 1, "quarantined": 1, "removed": True, "deliveries": 1}
    (pending,) = map(json.loads, folder.run("deliveries", "--json").output.splitlines())
    assert pending["state"] == "pending"
    assert folder.run("quarantine").output == "Nothing in quarantine.\n"
    events = folder.fill(lambda store: store.list_actions("purge", 10))
    assert [(event.detail["signals"], event.detail["quarantined"]) for event in events] == [(1, 1), (1, 0)]


def test_the_age_is_the_retention_where_none_is_given(folder: Folder) -> None:
    folder.fill(fill)
    config = folder.path / "gateway.yaml"
    config.write_text(config.read_text().replace('gateway.db"}', 'gateway.db", retention: 101d}'))
    assert json.loads(folder.run("purge", "--json").output)["signals"] == 0
    assert json.loads(folder.run("purge", "--older-than", "99d", "--json").output)["signals"] == 1
    assert "expected a duration" in folder.run("purge", "--older-than", "long", code=2).output


def test_on_postgresql_parts_go_and_the_rest_row_by_row(folder: Folder, postgres: Server, postgres_url: str) -> None:
    config = folder.path / "gateway.yaml"
    config.write_text(config.read_text().replace("sqlite:///gateway.db", postgres_url))

    async def prepare(store: Store) -> None:
        await store.make_partitions(time.time() - 100 * 86400, 8 * 86400)
        await fill(store)

    at(postgres_url, prepare)
    assert json.loads(folder.run("purge", "--dry-run", "--dead", "--json").output)["signals"] == 2
    assert json.loads(folder.run("purge", "--json").output) == {
        "signals": 1,
        "quarantined": 0,
        "removed": True,
        "deliveries": 1,
    }
    rows = postgres.execute_at(postgres_url, "SELECT tableoid::regclass::text FROM signals")
    assert rows == [("signals_default",)] * 2
    assert json.loads(folder.run("purge", "--dead", "--json").output)["signals"] == 1
    (pending,) = map(json.loads, folder.run("deliveries", "--json").output.splitlines())
    assert pending["state"] == "pending"
