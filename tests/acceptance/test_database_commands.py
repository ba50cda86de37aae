"""The commands migrate, move and purge with PostgreSQL as the store."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway import __version__
from gateway.cli import main
from gateway.errors import GatewayError
from gateway.model import Dead, RetryAt
from gateway.store import migrations, move, open_store
from gateway.store.contract import Settings, Store
from gateway.store.values import Filter, Refused
from tests.contract.store_case import LEASE, NOW, accept, claim, finish, numbered
from tests.support.factory import ACCOUNT, AT
from tests.support.filled import fill_with_old
from tests.support.folder import Folder
from tests.support.ledger import read_ledger
from tests.support.postgres import Server

CONFIG = "store: {{url: '{url}'}}\naccounts: {{bookshop: {{keys: [{{sha256: '{digest}'}}]}}}}\n"


@dataclasses.dataclass
class Place:
    folder: Path
    url: str

    def run(self, *words: str, url: str = "") -> Result:
        path = self.folder / "gateway.yaml"
        path.write_text(CONFIG.format(url=url or self.url, digest="00" * 32))
        return CliRunner().invoke(main, [words[0], "--config", str(path), *words[1:]])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, f"sqlite:///{tmp_path}/gateway.db")


async def fill(store: Store, signals: int = 7) -> None:
    """Store rows of every table."""
    await asyncio.gather(
        *(accept(store, numbered(n, order=str(n % 3)), ("erp", "export"), unrouted=("alerts",)) for n in range(signals))
    )
    first, second, _ = await claim(store, limit=3)
    await finish(store, [first], Dead("gone"), state={(ACCOUNT, "erp"): {"position": 3}})
    await finish(store, [second], RetryAt(NOW + 1000, "down"))
    await store.quarantine(Refused(ACCOUNT, NOW, "{\0", {"": "expected an object"}))
    await store.add_known_orders(ACCOUNT, ["7"], NOW)
    await store.set_paused(ACCOUNT, "export", True, NOW, "moving")
    await store.follow_orders("gateway", NOW, NOW, 1000)


def at(url: str, work: Any, **settings: Any) -> Any:
    async def run() -> Any:
        store = open_store(Settings(url, **settings))
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


async def look(store: Store) -> tuple[Any, ...]:
    rows = await store.list_deliveries(Filter(), 100)
    quarantined = [dataclasses.replace(row, body=row.body[:1]) for row in await store.list_quarantined(Filter(), 10)]
    return (
        await store.list_signals(Filter(), 100),
        [dataclasses.replace(row, due_at=None) for row in rows],
        await store.read_attempts(1),
        await store.read_sink_state(ACCOUNT, "erp"),
        await store.read_route_states(),
        await read_ledger(store),
        quarantined,
    )


def test_a_store_moves_to_postgresql_and_goes_on_there(place: Place, postgres_url: str) -> None:
    at(place.url, fill)
    result = place.run("move", "--to", postgres_url.replace("postgresql://", "postgres://"))
    assert result.exit_code == 0, result.output
    assert "7 signals and 14 deliveries were copied; the ledgers agree." in result.output
    assert at(postgres_url, look) == at(place.url, look)

    async def go_on(store: Store) -> None:
        assert not (await claim(store, limit=0))
        leased = [row for row in await store.list_deliveries(Filter(), 100) if row.leased_until is not None]
        assert leased == []
        assert (await accept(store, numbered(1, order="1"))).duplicate
        assert (await accept(store, numbered(99))).signal_id == 8

    at(postgres_url, go_on)


def test_moved_signals_go_to_partitions_except_old_ones(
    place: Place, postgres: Server, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill_years(store: Store) -> None:
        for number, days in enumerate((4000, 95, 50, 0)):
            received = AT - timedelta(days=days)
            await accept(store, dataclasses.replace(numbered(number), received_at=received))

    at(place.url, fill_years)
    monkeypatch.setattr(move.time, "time", lambda: NOW)
    assert place.run("move", "--to", postgres_url).exit_code == 0
    rows = postgres.execute_at(postgres_url, "SELECT tableoid::regclass::text FROM signals ORDER BY received_at")
    assert [name for (name,) in rows] == ["signals_default", "signals_20260810", "signals_20260927", "signals_20261114"]


def test_a_move_that_was_interrupted_goes_on(place: Place, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(move, "PAGE", 2)
    at(place.url, fill)
    told: list[int] = []

    def interrupt(done: int, total: int) -> None:
        told.append(done)
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(move.move_store(Settings(place.url), Settings(postgres_url), 90 * 86400.0, interrupt))
    assert place.run("move", "--to", postgres_url).exit_code == 0
    again: list[int] = []
    asyncio.run(
        move.move_store(Settings(place.url), Settings(postgres_url), 90 * 86400.0, lambda done, _: again.append(done))
    )
    assert (told, again) == ([0, 2, 4], [7])
    assert at(postgres_url, look) == at(place.url, look)


def test_a_database_with_signals_of_its_own_is_not_filled(place: Place, postgres_url: str) -> None:
    at(place.url, fill)
    at(postgres_url, lambda store: accept(store, numbered(5)))
    result = place.run("move", "--to", postgres_url)
    assert (result.exit_code, len(at(postgres_url, look)[0])) == (1, 1)
    assert "not from this store" in result.output


def test_a_move_is_refused_while_a_gateway_serves_and_for_the_wrong_places(place: Place, postgres_url: str) -> None:
    async def beside(_: Store) -> Result:
        return await asyncio.to_thread(place.run, "move", "--to", postgres_url)

    async def serve() -> Result:
        store = open_store(Settings(place.url), exclusive=True)
        try:
            return await beside(store)
        finally:
            await store.close()

    assert "another gateway is using" in asyncio.run(serve()).output
    assert place.run("move", "--to", "sqlite:///other.db").exit_code == 2
    assert "expected the SQLite store" in place.run("move", "--to", postgres_url, url="postgresql://me@h/d").output


def test_a_ledger_that_differs_is_reported(place: Place, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at(place.url, fill)
    monkeypatch.setattr(move, "OF_SIGNALS", move.OF_SIGNALS[::2])
    monkeypatch.setattr(move, "copy_others", lambda old, new: None)
    assert "the ledgers differ" in place.run("move", "--to", postgres_url).output


# -- versions

STEP = """
def up(migrator, db):
    db.execute_sql("ALTER TABLE known_orders {what}")
"""


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of migrations, to which a test adds steps of a later version."""
    folder = tmp_path / "steps"
    folder.mkdir()
    for path in migrations.FOLDER.glob("0*.py"):
        (folder / path.name).write_text(path.read_text())
    monkeypatch.setattr(migrations, "FOLDER", folder)
    return folder


def test_a_shared_schema_is_expanded_on_demand_and_contracted_when_nobody_needs_it(
    place: Place, steps: Path, postgres: Server, postgres_url: str
) -> None:
    at(postgres_url, fill)
    (steps / "0998_note.py").write_text(STEP.format(what="ADD COLUMN note TEXT"))
    (steps / "0999_contract_note.py").write_text(STEP.format(what="DROP COLUMN note"))
    with pytest.raises(GatewayError, match=rf"has 000.*{__version__} needs 0998_note: run `cloudsignal migrate`"):
        at(postgres_url, look)
    assert place.run("migrate", url=postgres_url).output == "applied 0998_note\n"
    assert place.run("migrate", url=postgres_url).output == "The store is up to date.\n"
    at(postgres_url, look)  # what is to be taken away does no harm
    old = postgres.connect(f"{postgres_url}&application_name=cloudsignal/0.0.9")
    try:
        assert "still connected: cloudsignal/0.0.9" in place.run("migrate", "--contract", url=postgres_url).output
    finally:
        old.close()
    assert place.run("migrate", "--contract", "--json", url=postgres_url).output == '{"step":"0999_contract_note"}\n'
    (steps / "0998_note.py").unlink()
    (steps / "0999_contract_note.py").unlink()
    with pytest.raises(GatewayError, match=rf"has 0998_note, made by a newer version.*{__version__}, knows up to 000"):
        at(postgres_url, look)


def test_a_sqlite_file_is_migrated_when_it_is_opened_or_on_demand(place: Place, steps: Path) -> None:
    at(place.url, fill)
    (steps / "0998_note.py").write_text(STEP.format(what="ADD COLUMN note TEXT"))
    assert place.run("migrate").output == "applied 0998_note\n"
    (steps / "0999_more.py").write_text(STEP.format(what="ADD COLUMN more TEXT"))
    at(place.url, look)
    assert place.run("migrate").output == "The store is up to date.\n"


def test_a_move_releases_leases(place: Place, postgres_url: str) -> None:
    async def hold(store: Store) -> None:
        await accept(store, numbered(1))
        await store.claim([], NOW, NOW + LEASE)
        assert await claim(store)

    at(place.url, hold)
    assert place.run("move", "--to", postgres_url).exit_code == 0
    [row] = at(postgres_url, lambda store: store.list_deliveries(Filter(), 10))
    assert row.leased_until is None


def test_gateways_that_start_together_make_one_schema(
    place: Place, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = migrations.Steps.status

    def overtaken(steps: migrations.Steps) -> list[Any]:
        """A first look at a database on which another gateway then makes the schema."""
        found: list[Any] = status(steps)
        monkeypatch.setattr(migrations.Steps, "status", status)
        assert "applied" in place.run("migrate", url=postgres_url).output
        monkeypatch.setattr(migrations.Steps, "status", late)
        return found

    def late(steps: migrations.Steps) -> list[Any]:
        """Return the second look, also from before the other gateway's."""
        monkeypatch.setattr(migrations.Steps, "status", status)
        return [step._replace(applied=None) for step in status(steps)]

    monkeypatch.setattr(migrations.Steps, "status", overtaken)
    at(postgres_url, look)


# -- purge


def test_partitions_are_purged_as_a_whole_and_the_rest_row_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: Server, postgres_url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Folder(tmp_path)
    config = folder.path / "gateway.yaml"
    config.write_text(config.read_text().replace("sqlite:///gateway.db", postgres_url))

    async def prepare(store: Store) -> None:
        await store.make_partitions(time.time() - 100 * 86400, 8 * 86400)
        await fill_with_old(store)

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
