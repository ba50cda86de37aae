"""SQLite: the URL, the lock, the pragmas, the schema, and the plans of the hot statements."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peewee import OperationalError
from playhouse.schema_diff import diff_models

from gateway import __version__
from gateway.errors import GatewayError, StoreError, StoreInUse
from gateway.store import Settings, migrations, open_store
from gateway.store.failures import blames_environment
from gateway.store.migrations import FOLDER, migrate
from gateway.store.reads import held_orders
from gateway.store.reads.backlog import SQLITE_BACKLOG
from gateway.store.sqlite import accept, lanes, lease, record
from gateway.store.sqlite import open as opening
from gateway.store.sqlite.open import WRITER_PRAGMAS, connect, path_of
from gateway.store.steps import known_orders, startup
from gateway.store.tables import TABLES
from tests.support.ledger import read_ledger
from tests.support.stores import raw_database
from tests.support.stores import run_on_store as run

NEWEST = sorted(path.stem for path in FOLDER.glob("[0-9]*.py"))[-1]


def execute(path: Path, statement: str, *values: Any) -> list[Any]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///data/gateway.db", "data/gateway.db"),
        ("sqlite:////var/lib/gateway.db", "/var/lib/gateway.db"),
        ("sqlite:///with space?.db", "with space?.db"),
    ],
)
def test_the_url_names_a_file(url: str, path: str) -> None:
    assert path_of(url) == Path(path)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite://", "expected sqlite:///path"),
        ("sqlite:///", "expected sqlite:///path"),
        ("sqlite:gateway.db", "expected sqlite:///path"),
        ("sqlite:///data/", "expected sqlite:///path"),
        ("sqlite:///:memory:", "in memory"),
        ("postgresql://gateway:s3cret%zz@host/db", "expected postgresql://user@host/database"),
        ("postgresql://gateway:s3cret@host/db?no_such_option=1", "options that libpq knows"),
        ("mysql://gateway:s3cret@host/db", "expected sqlite:///path"),
        ("data/gateway.db", "expected sqlite:///path"),
        ("", "expected sqlite:///path"),
    ],
)
def test_a_wrong_url_is_refused_with_advice(url: str, says: str) -> None:
    with pytest.raises(GatewayError, match=says) as caught:
        run(url)
    assert str(caught.value).startswith("store.url: ")
    assert "s3cret" not in str(caught.value)


def test_folders_are_made_and_the_path_is_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("sqlite:///data/deeper/gateway.db")
    assert (tmp_path / "data" / "deeper" / "gateway.db").is_file()


def test_commits_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    databases: list[Any] = []

    def connecting(*args: Any) -> Any:
        databases.append(connect(*args))
        return databases[-1]

    monkeypatch.setattr(opening, "connect", connecting)

    def pragmas(store: Any) -> list[Any]:
        writer, *readers = databases
        return [writer.journal_mode, writer.synchronous, *(reader.pragma("query_only") for reader in readers)]

    assert run(f"sqlite:///{tmp_path}/gateway.db", pragmas) == ["wal", 2, 1, 1, 1]


def begin_beside(tmp_path: Path, patience: float, let_go: Callable[[], bool]) -> None:
    """Begin to write while another process has the file, until `let_go` returns True at one of the attempts."""
    path = tmp_path / "gateway.db"
    run(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def ends() -> float:
        if let_go():
            other.rollback()
        return next(clock)

    clock = itertools.count()
    with contextlib.ExitStack() as opened, contextlib.closing(other):
        db = connect(path, patience, WRITER_PRAGMAS, opened, "IMMEDIATE", now=ends)
        db.begin()
        db.rollback()


def test_another_process_that_writes_is_waited_for(tmp_path: Path) -> None:
    tries = iter([False, False, False, True])
    begin_beside(tmp_path, 10, lambda: next(tries, False))
    assert next(tries, None) is None


def test_another_process_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with pytest.raises(OperationalError, match="locked"):
        begin_beside(tmp_path, 3, lambda: False)


def test_one_process_serves_and_others_may_look(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"

    def while_serving(_: Any) -> None:
        with pytest.raises(StoreInUse, match=r"another gateway is using .*gateway\.db"):
            open_store(Settings(url), exclusive=True, loop=asyncio.get_running_loop())

    run(url, while_serving, exclusive=True)
    run(url, exclusive=True)

    async def beside() -> None:
        serving = open_store(Settings(url), exclusive=True)
        looking = open_store(Settings(url))
        assert await read_ledger(looking) == {}
        await looking.close()
        await serving.close()

    asyncio.run(beside())


def test_a_file_that_can_not_be_opened_is_named_and_not_locked(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    path.write_bytes(b"no database" * 100)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"can't open the store .*gateway\.db: file is not a database"):
            run(f"sqlite:///{path}", exclusive=True)
    with pytest.raises(StoreError, match=r"can't open the store .*: "):
        run(f"sqlite:///{path}/under/a/file.db")
    with pytest.raises(StoreError, match="Is a directory"):
        run(f"sqlite:///{tmp_path}")


def test_a_schema_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    run(f"sqlite:///{path}")
    execute(path, "INSERT INTO schema_migration (name, applied) VALUES ('0999_teleport', '2030-01-01')")
    with pytest.raises(GatewayError, match=rf"0999_teleport.*this version, {__version__}, knows up to {NEWEST}"):
        run(f"sqlite:///{path}")
    execute(path, "DELETE FROM schema_migration WHERE name = '0999_teleport'")
    run(f"sqlite:///{path}")


def test_the_schema_is_that_of_the_tables_and_made_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    run(url)
    with raw_database(Settings(url)) as db:
        diff = diff_models(db, TABLES)
        assert (diff.create_tables, diff.add_columns, diff.drop_columns) == ([], [], [])
        assert migrate(db) == []


def test_of_two_that_start_at_once_one_makes_the_schema(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"

    async def both() -> None:
        loop = asyncio.get_running_loop()
        stores = await asyncio.gather(
            *(asyncio.to_thread(open_store, Settings(url), loop=loop) for _ in range(4)),
        )
        for store in stores:
            assert await read_ledger(store) == {}
            await store.close()

    asyncio.run(both())
    steps = [(path.stem,) for path in sorted(FOLDER.glob("[0-9]*.py"))]
    assert execute(tmp_path / "gateway.db", "SELECT name FROM schema_migration ORDER BY name") == steps


ADD_COLUMN = '''"""Add a column."""


def up(migrator, db):
    """Add it."""
    db.execute_sql("ALTER TABLE quarantine ADD COLUMN noted BIGINT")
'''


def test_a_store_of_an_older_version_is_brought_up_to_date_and_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gateway.db"
    run(f"sqlite:///{path}")
    execute(
        path, "INSERT INTO quarantine (account, digest, received_at, body, errors) VALUES ('a', 'd', 1, '{}', '{}')"
    )
    newer = tmp_path / "migrations"
    shutil.copytree(FOLDER, newer)
    (newer / "0999_noted.py").write_text(ADD_COLUMN)
    monkeypatch.setattr(migrations, "FOLDER", newer)
    run(f"sqlite:///{path}")
    assert execute(path, "SELECT account, body, noted FROM quarantine") == [("a", "{}", None)]


def test_a_folder_that_can_not_be_written_is_named() -> None:
    with pytest.raises(StoreError, match=r"can't open the store /proc/gateway/gateway\.db"):
        run("sqlite:////proc/gateway/gateway.db")  # not even root may write there


def test_the_schema_allows_one_head_a_lane(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    run(f"sqlite:///{path}")
    insert = (
        "INSERT INTO deliveries "
        "(signal_id, route, account, lane, state, due_at, attempts, created_at, reason, held, received_at) "
        "VALUES (?, 'erp', 'bookshop', ?, 'pending', ?, 0, 0, '', 0, 0)"
    )
    for values in ((1, "A", 5), (2, "A", None), (3, "A", None), (4, "B", 5), (5, None, 5), (6, None, 5)):
        execute(path, insert, *values)
    with pytest.raises(sqlite3.IntegrityError) as caught:
        execute(path, insert, 7, "A", 9)
    assert not blames_environment(caught.value)


LIVE_ROWS = {
    "release_all": ["deliveries_due"],
    "reset_all": ["deliveries_due"],
    "HAS_REPLAYS": ["deliveries_replayed"],
    "list_held_accounts": ["deliveries_held"],
    "SQLITE_BACKLOG": ["deliveries_due", "deliveries_waiting", "deliveries_held"],
}
"""Statements that may walk these indexes of pending rows: at a start, for a person, or to the first row."""

SORTS = {"list_held_orders"}
"""Statements that may sort the pending rows that they walk."""

COLUMNS = {"INSERT_SIGNALS": 13, "INSERT_DELIVERIES": 7}
"""The number of columns in each statement that binds rows."""

HOT = {
    name: text
    for module in (accept, lanes, lease, record)
    for name, text in vars(module).items()
    if name.isupper() and isinstance(text, str) and "deliver" in text + "signals" and name != "LANE_ORDER"
} | {"SQLITE_BACKLOG": SQLITE_BACKLOG}


@pytest.mark.parametrize("name", HOT)
def test_hot_statements_scan_no_table(tmp_path: Path, name: str) -> None:
    path = tmp_path / "gateway.db"
    run(f"sqlite:///{path}")
    statement = HOT[name].format(rows=f"({', '.join('?' * COLUMNS.get(name, 0))})")
    count = max(map(int, re.findall(r"\?(\d)", statement)), default=statement.count("?"))
    expect_seeks(name, execute(path, f"EXPLAIN QUERY PLAN {statement}", *["[]"] * count))


STEPS: dict[str, Callable[[Any], Any]] = {
    "release_all": lambda db: startup.release_all(db, 1),
    "reset_all": lambda db: startup.reset_all(db, 1, 2),
    "free_held": lambda db: known_orders.free_held(db, "bookshop", ["1", "2"], 1),
    "list_held_accounts": lambda db: held_orders.list_held_accounts(db, 1.0),
    "list_held_orders": lambda db: held_orders.list_held_orders(db, "bookshop", 1.0, "", 10),
}


@pytest.mark.parametrize("name", STEPS)
def test_rare_steps_scan_no_table(tmp_path: Path, name: str) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    run(url)
    said: list[tuple[str, Any]] = []
    with raw_database(Settings(url)) as db:
        real = db.execute_sql

        def listen(sql: str, params: Any = None) -> Any:
            said.append((sql, params))
            return real(sql, params)

        db.execute_sql = listen
        STEPS[name](db)
        for statement, values in said:
            expect_seeks(name, real(f"EXPLAIN QUERY PLAN {statement}", values).fetchall())


def expect_seeks(name: str, rows: list[Any]) -> None:
    plan = [row[3] for row in rows]
    scans = [line.rpartition(" ")[2] for line in plan if line.startswith("SCAN ") and "USING" in line]
    assert scans == LIVE_ROWS.get(name, [])
    whole = ("SCAN signals", "SCAN o", "SCAN d", "SCAN s", "SCAN deliveries", "SCAN live", "SCAN head", "SCAN t1")
    assert not [line for line in plan if line in whole or ("ORDER BY" in line and name not in SORTS)]
