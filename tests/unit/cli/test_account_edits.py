"""The commands accounts add, accounts remove and keys rotate."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from gateway.cli import editing
from gateway.config import load_config
from gateway.errors import StoreError
from gateway.keys import hash_key
from gateway.operate import account_edits
from gateway.operate.in_force import parts_of
from gateway.operate.reload import Reloaded
from tests.contract.store_case import NOW, accept, numbered
from tests.support.folder import CONFIG, Folder

ACME = """\
# A reseller.
tenant: acme
accounts:
  bookshop:
    keys: [test-key-of-the-bookshop]   # in clear text
    routes: {export: {sink: csv, options: {directory: exports}}}
"""
GLOBEX = "tenant: globex\naccounts:\n  maps: {keys: [!env KEY_OF_MAPS]}\n"
MAIN = """\
server: {public_url: "https://hooks.example.com"}
store: {url: "sqlite:///gateway.db"}
plugins: [csv]
include: [tenants/*.yaml]
"""


@pytest.fixture
def tenants(folder: Folder) -> Path:
    """Return the folder of two tenants' files; a variable of one is not in the command's environment."""
    (folder.path / "gateway.yaml").write_text(MAIN)
    (folder.path / "tenants").mkdir()
    (folder.path / "tenants" / "acme.yaml").write_text(ACME)
    (folder.path / "tenants" / "globex.yaml").write_text(GLOBEX)
    return folder.path / "tenants"


def test_an_account_is_added_to_its_tenants_file(folder: Folder, tenants: Path) -> None:
    (tenants / "acme.yaml").chmod(0o640)
    result = folder.run("accounts", "add", "posters", "--tenant", "acme", "--yes")
    key = re.search(r"^  Webhook API key: ([0-9a-f]{32})$", result.stdout, re.MULTILINE)
    assert key
    assert "+  posters:\n" in result.stdout
    assert "account posters comes" not in result.stdout  # no gateway has used the store
    assert "  URL:             https://hooks.example.com/signals/posters\n" in result.stdout
    assert "Not in force yet: no gateway is running" in result.stderr
    text = (tenants / "acme.yaml").read_text()
    assert text.startswith(ACME)
    assert key[1] not in text
    config = load_config("gateway.yaml", {}, partial=True)
    assert config.accounts["posters"].tenant == "acme"
    assert config.accounts["posters"].keys[0].digest == hash_key(key[1])
    assert (tenants / "acme.yaml").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tenants.iterdir()) == ["acme.yaml", "globex.yaml"]
    ((action, detail),) = folder.rows("SELECT action, detail FROM actions")
    assert (action, json.loads(detail)) == (
        "account-add",
        {"account": "posters", "file": str(Path("tenants/acme.yaml").absolute())},
    )


def test_the_diff_shows_no_key(folder: Folder, tenants: Path) -> None:
    result = folder.run("keys", "rotate", "bookshop", "--dry-run")
    assert "+    keys: [{key: ***, expires: 2" in result.output
    assert "test-key" not in result.output
    assert result.stdout.endswith("nothing was written\n")
    assert (tenants / "acme.yaml").read_text() == ACME


def test_a_rotation_gives_the_old_key_an_end(folder: Folder, tenants: Path) -> None:
    row = json.loads(folder.run("keys", "rotate", "maps", "--overlap", "2d", "--yes", "--json").stdout)
    assert row["written"]
    old, new = load_config("gateway.yaml", {"KEY_OF_MAPS": "the-key-of-the-maps"}).accounts["maps"].keys
    assert old.digest == hash_key("the-key-of-the-maps")
    assert old.expires
    assert old.expires.isoformat() == row["old_keys_end"]
    assert new.digest == hash_key(row["key"])
    assert new.expires is None
    assert new.label.startswith("since-")
    folder.run("keys", "rotate", "maps", "--yes")
    _, second, third = load_config("gateway.yaml", {"KEY_OF_MAPS": "the-key-of-the-maps"}).accounts["maps"].keys
    assert second.label == new.label
    assert third.label != new.label


def test_an_account_is_removed_and_its_pending_deliveries_are_told(folder: Folder) -> None:
    (folder.path / "gateway.yaml").write_text(text := CONFIG + "  posters: {keys: [test-key-of-the-posters]}\n")
    parts = parts_of(load_config(folder.path / "gateway.yaml", {}))

    async def serve(store) -> None:  # type: ignore[no-untyped-def]
        await store.save_in_force(parts, NOW)
        await accept(store, numbered(1, account="bookshop"), ("export",))

    folder.fill(serve)
    result = folder.run("accounts", "remove", "bookshop", "--yes")
    assert "account bookshop goes: 1 pending on export" in result.stdout
    assert "Webhook API key" not in result.stdout
    assert (folder.path / "gateway.yaml").read_text() == text.partition("  bookshop")[0] + "  posters" + text.partition(
        "  posters"
    )[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("accounts", "add", "bookshop"), "there is an account 'bookshop' already, of tenant acme"),
        (("accounts", "add", "Book shop"), "expected a name of a-z"),
        (("accounts", "add", "posters"), "name the account's tenant with --tenant; known: acme, globex"),
        (("accounts", "add", "posters", "--tenant", "acne"), "there is no tenant 'acne'; did you mean 'acme'?"),
        (("accounts", "remove", "bokshop"), "did you mean 'bookshop'?"),
        (("keys", "rotate", "bokshop"), "did you mean 'bookshop'?"),
        (("keys", "rotate", "bookshop"), "nothing was written: confirm with --yes"),
    ],
)
def test_an_edit_that_is_wrong_writes_nothing(
    folder: Folder, tenants: Path, words: tuple[str, ...], message: str
) -> None:
    assert message in folder.run(*words, code=1).stderr
    assert (tenants / "acme.yaml").read_text() == ACME


def test_the_last_account_stays(folder: Folder) -> None:
    assert "there are no accounts" in folder.run("accounts", "remove", "bookshop", "--yes", code=1).stderr
    assert (folder.path / "gateway.yaml").read_text() == CONFIG


def test_a_name_that_another_client_had_is_refused(folder: Folder) -> None:
    (folder.path / "gateway.yaml").write_text(CONFIG + "  posters: {keys: [test-key-of-the-posters]}\n")
    parts = parts_of(load_config(folder.path / "gateway.yaml", {}))
    (folder.path / "gateway.yaml").write_text(CONFIG)

    async def leave(store) -> None:  # type: ignore[no-untyped-def]
        await store.save_in_force(parts, NOW)
        await accept(store, numbered(1, account="posters"), ("export",))
        await store.save_in_force(parts_of(load_config(folder.path / "gateway.yaml", {})), NOW)

    folder.fill(leave)
    assert "cloudsignal forget posters" in folder.run("accounts", "add", "posters", "--yes", code=1).stderr
    assert (folder.path / "gateway.yaml").read_text() == CONFIG


def test_a_file_that_changed_meanwhile_is_not_overwritten(
    folder: Folder, tenants: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ACME + "# another person's edit\n"
    monkeypatch.setattr(editing, "confirm", lambda question, yes: (tenants / "acme.yaml").write_text(other))
    assert "was changed meanwhile" in folder.run("keys", "rotate", "bookshop", code=1).stderr
    assert (tenants / "acme.yaml").read_text() == other


def test_a_link_to_a_file_stays_a_link(folder: Folder, tenants: Path) -> None:
    (tenants / "acme.yaml").rename(folder.path / "real.yaml")
    (tenants / "acme.yaml").symlink_to("../real.yaml")
    folder.run("accounts", "add", "posters", "--tenant", "acme", "--yes")
    assert (tenants / "acme.yaml").is_symlink()
    assert "posters" in (folder.path / "real.yaml").read_text()


def test_the_running_gateway_reloads_if_that_is_asked(
    folder: Folder, tenants: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editing, "find_process", lambda config: 4711)
    monkeypatch.setattr(
        editing, "ask_gateway", lambda config, process: Reloaded([f"{process}: account posters comes"], [])
    )
    output = folder.run("accounts", "add", "posters", "--tenant", "acme", "--yes", "--reload").stdout
    assert output.endswith("4711: account posters comes\nreloaded: 3 accounts, 1 route\n")
    assert "cloudsignal reload" in folder.run("accounts", "remove", "posters", "--yes").stderr


def test_a_person_is_asked_at_a_terminal(folder: Folder, tenants: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(editing, "is_interactive", lambda: True)
    monkeypatch.setattr(editing, "find_process", lambda config: 4711)
    monkeypatch.setattr(click, "confirm", lambda question, **options: asked.append(question))
    folder.run("accounts", "add", "posters", "--tenant", "acme")
    assert asked == ["Write this to tenants/acme.yaml?", "Reload the running gateway (process 4711) now?"]


def test_a_new_key_is_shown_also_if_the_store_fails(
    folder: Folder, tenants: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*given: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(account_edits, "record", fail)
    result = folder.run("accounts", "add", "posters", "--tenant", "acme", "--yes")
    assert "Webhook API key: " in result.stdout
    assert "the action was not recorded: the disk is full" in result.stderr


def test_a_new_tenant_begins_with_one_line(folder: Folder, tenants: Path) -> None:
    assert (
        "a file with the line `tenant: north`" in folder.run("accounts", "add", "a", "--tenant", "north", code=1).stderr
    )
    (tenants / "north.yaml").write_text("tenant: north\n")
    folder.run("accounts", "add", "a", "--tenant", "north", "--yes")
    assert (tenants / "north.yaml").read_text().startswith("tenant: north\naccounts:\n  a:\n    keys:\n")
