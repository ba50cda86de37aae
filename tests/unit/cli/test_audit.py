"""The command audit."""

import os
import signal
import sqlite3
from contextlib import closing

import pytest

from gateway.cli import progress
from gateway.store.contract import Store
from gateway.store.reads import pages
from gateway.store.values import Target
from tests.support.factory import make_signal
from tests.support.folder import Folder, lines


async def fill(store: Store, signals: int = 3) -> None:
    for order in map(str, range(signals)):
        await store.accept(make_signal(account="bookshop", order=order), [Target("export", order)], ["alerts"], False)


def damage(folder: Folder, statement: str) -> None:
    with closing(sqlite3.connect(folder.path / "gateway.db", isolation_level=None)) as db:
        db.execute("PRAGMA ignore_check_constraints = 1")
        db.execute(statement)


def test_an_empty_store_is_sound(folder: Folder) -> None:
    assert folder.run("audit").stdout == "Nothing was accepted yet.\n0 signals, and each is accounted for.\n"


def test_a_sound_store_is_printed_with_its_ledger(folder: Folder) -> None:
    folder.fill(fill)
    result = folder.run("audit")
    assert "3 signals, and each is accounted for." in result.stdout
    assert "3/3" in result.stderr
    none = {"accepted": 3, "delivered": 0, "pending": 0, "dead": 0, "filtered": 0}
    assert lines(folder.run("audit", "--json").output) == [
        {
            "ok": True,
            "complete": True,
            "signals": 3,
            "wrong": 0,
            "routes": [
                {"account": "bookshop", "route": "alerts", **none, "filtered": 3},
                {"account": "bookshop", "route": "export", **none, "pending": 3},
            ],
        }
    ]


def test_violations_are_printed_and_exit_with_1(folder: Folder) -> None:
    folder.fill(fill)
    damage(folder, "DELETE FROM deliveries WHERE signal_id = 2")
    damage(folder, "UPDATE deliveries SET ended_at = 1 WHERE signal_id = 3")
    output = folder.run("audit", code=1).stdout
    assert "signal 2 of bookshop was given 1 deliveries and has 0\n" in output
    assert "signal 3 on bookshop/export: is pending, but says when it ended\n" in output
    assert "3 signals; 2 of them or of their deliveries are wrong." in output
    first, second, summary = lines(folder.run("audit", "--json", code=1).output)
    assert first == {
        "signal": 2,
        "account": "bookshop",
        "route": None,
        "wrong": "was given 1 deliveries and has 0",
    }
    assert (second["signal"], second["route"]) == (3, "export")
    assert (summary["ok"], summary["wrong"]) == (False, 2)
    folder.run("audit", "--after", "3")


def test_an_unbalanced_ledger_is_printed(folder: Folder) -> None:
    folder.fill(fill)
    damage(folder, "UPDATE deliveries SET state = 'lost' WHERE signal_id = 1")
    output = folder.run("audit", code=1).stdout
    assert "bookshop/export: accepted is not delivered + pending + dead + filtered" in output


def test_ctrl_c_ends_an_audit_and_prints_how_to_continue(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.fill(lambda store: fill(store, 50))
    monkeypatch.setattr(pages, "IDS_PER_PAGE", 1)
    show = progress.Bar.show

    def press(bar: progress.Bar, done: int, total: int | None) -> None:
        show(bar, done, total)
        if done == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(progress.Bar, "show", press)
    result = folder.run("audit", "--json", code=130)
    (summary,) = lines(result.stdout)
    assert (summary["complete"], summary["signals"] < 50) == (False, True)
    assert f"Interrupted after signal {summary['signals']}; to go on: --after" in result.stderr
