"""The commands accounts list, accounts keep, forget and check --diff."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from gateway.config import load_config
from gateway.operate.in_force import mark_key, parts_of
from gateway.store import Store
from gateway.store.values import ConfigPart, Refused
from tests.contract.store_case import NOW, accept, numbered
from tests.support.folder import CONFIG, Folder

OTHERS = (
    CONFIG
    + """\
  posters:
    keys: [test-key-of-the-posters]
    routes: {mail: {sink: csv, options: {directory: mail}}}
"""
)


def configure(folder: Folder, text: str) -> None:
    (folder.path / "gateway.yaml").write_text(text)


def serve(folder: Folder, text: str) -> None:
    """Note a configuration as in force, as a gateway does at its start."""
    configure(folder, text)
    parts = parts_of(load_config(folder.path / "gateway.yaml", {}))
    folder.fill(lambda store: store.save_in_force(parts, NOW))


def fill(folder: Folder, account: str = "bookshop", route: str = "export") -> None:
    async def work(store: Store) -> None:
        for number in (1, 2):
            await accept(store, numbered(number, account=account), (route,))
        await store.quarantine(Refused(account, NOW, "a body", {}))

    folder.fill(work)


# -- accounts list


def test_accounts_are_listed_with_their_keys(folder: Folder) -> None:
    old = "{key: an-old-key-of-the-shop, label: old, expires: 2030-01-31T00:00:00Z}"
    configure(folder, CONFIG.replace("[test-key-of-the-bookshop]", f"[test-key-of-the-bookshop, {old}]"))
    key = load_config(folder.path / "gateway.yaml", {}).accounts["bookshop"].keys[0]
    used = datetime(2026, 11, 27, 8, 30, tzinfo=UTC).timestamp()
    folder.fill(lambda store: store.note_key_uses({("bookshop", mark_key(key)): used}))
    fill(folder)
    assert folder.run("accounts", "list").output.splitlines() == [
        "bookshop (acme): POST /signals/bookshop",
        "  last signal: 2026-11-20 10:11:12; pending deliveries: 2",
        "  key key-1: last used 2026-11-27 08:30:00",
        "  key old: last used never; ends 2030-01-31 00:00",
        "  route export: running, 2 pending",
        "  route alerts: running",
    ]
    (row,) = map(json.loads, folder.run("accounts", "list", "--json").output.splitlines())
    assert row["keys"][0] == {"label": "key-1", "last_used": "2026-11-27T08:30:00+00:00", "expires": None}
    assert row["endpoint"] == "/signals/bookshop"
    assert "an-old-key" not in json.dumps(row)


def test_an_account_that_left_is_listed_with_what_is_pending(folder: Folder) -> None:
    serve(folder, OTHERS)
    fill(folder, "posters", "mail")
    serve(folder, CONFIG)
    assert folder.run("accounts", "list").output.splitlines()[-3:] == [
        "posters (acme): left the configuration on 2026-11-20 10:11:12",
        "  last signal: 2026-11-20 10:11:12; pending deliveries: 2",
        "  route mail: not configured, 2 pending",
    ]


def test_one_account_is_listed_by_its_public_url_with_the_health_of_its_routes(folder: Folder) -> None:
    configure(folder, "server: {public_url: https://hooks.example.com/}\n" + OTHERS)
    fill(folder)
    folder.run("pause", "bookshop", "export", "--why", "new disk")
    output = folder.run("accounts", "list", "--account", "bookshop").output
    assert output.startswith("bookshop (acme): POST https://hooks.example.com/signals/bookshop\n")
    assert "route export: paused, 2 pending: new disk" in output
    assert "posters" not in output
    (row,) = map(json.loads, folder.run("accounts", "list", "--account", "bookshop", "--json").output.splitlines())
    assert row["routes"][0] == {"route": "export", "state": "paused", "why": "new disk", "pending": 2, "dead": 0}
    assert "did you mean 'posters'?" in folder.run("accounts", "list", "--account", "poster", code=1).output


# -- check --diff


def test_check_tells_what_a_reload_would_change(folder: Folder) -> None:
    serve(folder, OTHERS)
    fill(folder, "posters", "mail")
    assert "no change" in folder.run("check", "--diff").output
    configure(folder, CONFIG.replace("[ItemError]", "[ItemCanceled]"))
    output = folder.run("check", "--diff").output
    assert "change: account posters goes: 2 pending on mail" in output
    assert "change: account bookshop changes: route alerts changes" in output
    assert "need --force" not in output
    rows = [json.loads(line) for line in folder.run("check", "--diff", "--json").output.splitlines()]
    assert [(row["name"], row["how"], row["pending"]) for row in rows if "how" in row] == [
        ("posters", "goes", {"mail": 2}),
        ("bookshop", "changes", {}),
    ]


def test_check_tells_that_no_gateway_has_used_the_store(folder: Folder) -> None:
    assert "no gateway has used this store yet" in folder.run("check", "--diff").output


def test_check_tells_what_a_reload_would_refuse(folder: Folder) -> None:
    serve(folder, OTHERS)
    configure(folder, CONFIG.replace("bookshop", "bokshop"))
    assert (
        "a reload would need --force: 2 of 2 accounts would go: bookshop, posters"
        in folder.run("check", "--diff").output
    )


@pytest.mark.parametrize("forgotten", [True, False])
def test_a_name_that_another_client_had_is_refused(folder: Folder, forgotten: bool) -> None:
    serve(folder, OTHERS)
    fill(folder, "posters", "mail")
    serve(folder, CONFIG)
    configure(folder, OTHERS.replace("test-key-of-the-posters", "the-key-of-another-client"))
    output = folder.run("check", "--diff", code=1).output
    assert "accounts.posters: another client had this name" in output
    assert "cloudsignal forget posters" in output
    if forgotten:
        folder.run("forget", "posters", "--yes")
    else:
        assert "Now reload or start" in folder.run("accounts", "keep", "posters").output
    assert "account posters comes" in folder.run("check", "--diff").output
    assert folder.rows("SELECT count(*) FROM signals") == [(0 if forgotten else 2,)]


def test_a_name_of_which_nothing_is_left_may_be_used_again(folder: Folder) -> None:
    serve(folder, OTHERS)
    serve(folder, CONFIG)
    configure(folder, OTHERS.replace("test-key-of-the-posters", "the-key-of-another-client"))
    assert "account posters comes" in folder.run("check", "--diff").output


# -- forget and keep


def test_forget_removes_what_left_and_nothing_else(folder: Folder) -> None:
    serve(folder, OTHERS)
    for account, route in (("bookshop", "export"), ("posters", "mail")):
        fill(folder, account, route)
    serve(folder, CONFIG)
    sums = "2 signals, 2 deliveries (2 pending), 1 quarantined request and 0 known orders"
    assert folder.run("forget", "posters", "--dry-run").output == f"{sums} would be removed; nothing was changed.\n"
    assert f"{sums} of posters would be removed: confirm with --yes" in folder.run("forget", "posters", code=1).output
    assert folder.rows("SELECT count(*) FROM signals") == [(4,)]
    assert folder.run("forget", "posters", "--yes").stdout == f"{sums} removed.\n"
    assert folder.rows("SELECT DISTINCT account FROM signals") == [("bookshop",)]
    assert folder.rows("SELECT action, detail FROM actions") == [
        ("forget", '{"account":"posters","signals":2,"quarantined":1,"pending":2}')
    ]
    assert "the store knows no account 'posters'" in folder.run("forget", "posters", "--yes", code=1).output
    assert "each is accounted for" in folder.run("audit").output


def test_forget_as_json(folder: Folder) -> None:
    serve(folder, OTHERS)
    fill(folder, "posters", "mail")
    serve(folder, CONFIG)
    rows = [
        json.loads(folder.run("forget", "posters", *words, "--json").output) for words in (("--dry-run",), ("--yes",))
    ]
    assert [(row["signals"], row["pending"], row["removed"]) for row in rows] == [(2, 2, False), (2, 2, True)]


def test_an_account_in_use_is_not_forgotten(folder: Folder) -> None:
    serve(folder, OTHERS)
    fill(folder)
    assert "is still in the configuration" in folder.run("forget", "bookshop", "--yes", code=1).output
    assert "is still in the configuration" in folder.run("forget", "bookshop", "--yes", "--force", code=1).output
    # New keys of the same tenant are no other client.
    configure(folder, CONFIG.replace("test-key-of-the-bookshop", "a-new-key-of-the-bookshop"))
    assert "is still in the configuration" in folder.run("forget", "bookshop", "--yes", code=1).output


def test_forget_suggests_the_nearest_name(folder: Folder) -> None:
    serve(folder, OTHERS)
    serve(folder, CONFIG)
    assert "did you mean 'posters'?" in folder.run("forget", "poster", code=1).output
    assert "did you mean 'posters'?" in folder.run("accounts", "keep", "poster", code=1).output


def test_an_account_that_was_never_noted_is_forgotten_too(folder: Folder) -> None:
    fill(folder, "stranger", "mail")
    folder.run("forget", "stranger", "--yes")
    assert folder.rows("SELECT count(*) FROM signals") == [(0,)]


def test_keep_needs_an_account_that_was_noted(folder: Folder) -> None:
    part = ConfigPart("account", "posters", {"tenant": "acme", "keys": {}, "options": {}, "routes": {}})
    folder.fill(lambda store: store.save_in_force([part], NOW))
    folder.run("accounts", "keep", "posters")
    assert folder.rows("SELECT action FROM actions") == [("keep",)]
    folder.run("accounts", "keep", "posters", code=1)
