"""Fields that commands print with --json: exactly the tables of config/README.md."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click
import pytest

from gateway.alerts import Condition
from gateway.cli import main, reload
from gateway.model import Dead
from gateway.operate.reload import Reloaded
from gateway.simulate.sender import Summary
from gateway.store import Store
from gateway.store.move import Moved
from gateway.store.values import Refused, RouteState, Telling
from tests.contract.store_case import NOW, accept, claim, finish, numbered
from tests.support.folder import Folder
from tests.support.pages import ROOT, names, section

PAGE = (ROOT / "config" / "README.md").read_text()
HEADINGS = [line for line in PAGE.splitlines() if line.startswith("### ")]
OPEN = {"schema", "detail", "payload", "errors", "codes", "accounts"}
"""Fields that hold the sender's own names, or the configuration's."""


def documented(command: str) -> set[str]:
    """Return the fields that the page lists for a command."""
    headings = [
        line for line in PAGE.splitlines() if line.startswith("### ") and f"`cloudsignal {command} --json`" in line
    ]
    assert len(headings) == 1, command
    return set(names(section(PAGE, headings[0]), "field"))


def fields(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of all fields of some rows; inner fields as `outer[].inner`."""
    return {name for row in rows for name in names_in(row)}


def names_in(row: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in row.items():
        yield f"{prefix}{name}"
        if name not in OPEN and isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    yield from names_in(item, f"{prefix}{name}[].")


def printed(folder: Folder, *words: str, code: int = 0, stdin: str | None = None) -> set[str]:
    lines = folder.run(*words, "--json", code=code, stdin=stdin).stdout.splitlines()
    assert lines
    return fields(json.loads(line) for line in lines)


@pytest.fixture
def busy(folder: Folder) -> Folder:
    """A store with a dead letter, pending deliveries and a quarantined request."""

    async def fill(store: Store) -> None:
        for number in (1, 2):
            await accept(store, numbered(number, type="ItemError"), ["export", "alerts"])
        await finish(store, await claim(store, routes=["alerts"], limit=1), Dead("no such order"))
        await store.quarantine(Refused("bookshop", NOW, "{}", {"type": "is missing"}))

    folder.fill(fill)
    return folder


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("signals", []),
        ("deliveries", []),
        ("dead", []),
        ("explain", ["1"]),
        ("quarantine", []),
        ("routes", []),
        ("replay", ["--dead"]),
        ("retry", ["1", "--route", "export", "--wait", "0"]),
        ("skip", ["1", "--route", "export"]),
        ("plugins", []),
        ("keys new", []),
        ("tokens new", []),
    ],
)
def test_fields(busy: Folder, command: str, words: list[str]) -> None:
    assert printed(busy, *command.split(), *words) == documented(command)


def test_fields_of_alerts(folder: Folder) -> None:
    async def fill(store: Store) -> None:
        condition = Condition("bookshop", "Route erp has dead letters: 1 now", cause="dead-letters", subject="erp")
        await store.raise_alerts([Telling(condition, (), ())], NOW)

    folder.fill(fill)
    assert printed(folder, "alerts") == documented("alerts")
    assert printed(folder, "alerts", "acknowledge", "1") == documented("alerts acknowledge")


def test_fields_of_probe(busy: Folder) -> None:
    busy.fill(lambda store: store.save_route_state(RouteState("bookshop", "export", probe_at=NOW, reason="no")))
    assert printed(busy, "probe", "bookshop", "export", "--wait", "0") == documented("probe")


def test_fields_of_show(busy: Folder) -> None:
    inner = {f"deliveries[].{name}" for name in documented("deliveries")}
    assert printed(busy, "show", "1") == documented("signals") | documented("show") | inner


def test_fields_of_quarantine_show(busy: Folder) -> None:
    own = documented("quarantine show") | documented("quarantine")
    assert printed(busy, "quarantine", "show", "1") == own


def test_fields_of_quarantine_replay(busy: Folder) -> None:
    assert printed(busy, "quarantine", "replay", "--all", code=1) == documented("quarantine replay")


def test_fields_of_audit(busy: Folder) -> None:
    whole = printed(busy, "audit")
    busy.change("DELETE FROM deliveries WHERE signal_id = 2 AND route = 'export'")
    assert whole | printed(busy, "audit", code=1) == documented("audit")


def test_fields_of_purge(busy: Folder) -> None:
    assert printed(busy, "purge") == documented("purge")
    assert printed(busy, "purge", "--dry-run") == documented("purge") - {"deliveries"}


def test_fields_of_check(busy: Folder) -> None:
    good = printed(busy, "check", "--connect", "--diff")
    (busy.path / "gateway.yaml").write_text("accounts: {bookshop: {}}")
    assert good | printed(busy, "check", code=1) == documented("check")


def test_fields_of_a_plugins_page(folder: Folder) -> None:
    table = section(PAGE, "### A plugin's page: `cloudsignal plugins NAME` with `--json`")
    assert printed(folder, "plugins", "csv") == set(names(table, "field"))


def test_fields_of_accounts_list(busy: Folder) -> None:
    assert printed(busy, "accounts", "list") == documented("accounts list")
    assert printed(busy, "accounts", "add", "new", "--dry-run") == documented("accounts add")


def test_fields_of_forget(busy: Folder) -> None:
    busy.fill(lambda store: accept(store, numbered(99, account="stranger")))
    assert printed(busy, "forget", "stranger", "--dry-run") == documented("forget")


def test_fields_of_keys_hash(folder: Folder) -> None:
    assert printed(folder, "keys", "hash", stdin="a-key-of-the-bookshop") == documented("keys hash")


def test_fields_of_backup_and_restore(busy: Folder) -> None:
    assert printed(busy, "backup", "copy.db") == documented("backup")
    assert printed(busy, "restore", "copy.db") == documented("restore")


def test_fields_of_migrate(folder: Folder) -> None:
    (folder.path / "gateway.db").unlink()
    assert printed(folder, "migrate") == documented("migrate")


def test_fields_of_commands_that_need_a_server() -> None:
    summary = Summary(1, 1, 0, 1, {"200": 1}, 1.0, 1.0, 1.0)
    assert fields([summary.as_dict()]) == documented("simulate")
    assert {field.name for field in dataclasses.fields(Moved)} == documented("move")


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_fields_of_pause_and_resume(busy: Folder, command: str) -> None:
    assert printed(busy, command, "bookshop", "export") == documented(command) == documented("routes")


def test_fields_of_orders(busy: Folder) -> None:
    assert printed(busy, "orders", "add", "bookshop", "PO-1") == documented("orders add")
    assert printed(busy, "orders", "rebuild") == documented("orders rebuild")
    assert printed(busy, "orders", "list") == documented("orders list")


def test_fields_of_orders_show(busy: Folder) -> None:
    busy.fill(lambda store: accept(store, numbered(3, tracking="T1")))
    busy.run("orders", "rebuild")
    of_attempts = {name.split("[].")[-1] for name in documented("show") if "failed_attempts[]" in name}
    attempts = {f"timeline[].routes[].failed_attempts[].{name}" for name in of_attempts}
    of_signals = {"signal", "type", "order", "order_reference"}
    routes = {f"timeline[].routes[].{name}" for name in documented("explain") - of_signals}
    own = documented("orders list") | documented("orders show")
    assert printed(busy, "orders", "show", "PO-1") == own | routes | attempts


def test_fields_of_actions(busy: Folder) -> None:
    busy.run("pause", "bookshop", "export", "--why", "new disk")
    assert printed(busy, "actions") == documented("actions")


def test_fields_of_reload(busy: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(*args: Any) -> Reloaded:
        return Reloaded(["account shop comes"], [])

    monkeypatch.setattr(reload, "request_reload", answer)
    monkeypatch.setattr(reload, "find_process", lambda config, given: 1)
    assert printed(busy, "reload") == documented("reload")


TELLS_PEOPLE_ONLY = {"schema", "serve", "init", "export", "accounts keep"}
"""Commands that print no data: they write files, or one sentence."""


def all_commands(group: click.Group, prefix: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def test_every_command_that_prints_data_has_json() -> None:
    assert {*all_commands(main)} - {*with_json(main)} == TELLS_PEOPLE_ONLY


def with_json(group: click.Group, prefix: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if any("--json" in param.opts for param in command.params):
            yield f"{prefix}{name}"
        if isinstance(command, click.Group):
            yield from with_json(command, f"{prefix}{name} ")


def test_every_command_with_json_has_a_table() -> None:
    for command in with_json(main):
        assert documented(command)


def test_no_table_is_of_a_command_that_is_gone() -> None:
    assert sum(line.count(" --json`") for line in HEADINGS) == len([*with_json(main)])
