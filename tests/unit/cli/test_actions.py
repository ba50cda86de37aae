"""The command actions."""

from __future__ import annotations

import json

from tests.support.folder import Folder


def test_actions_are_listed_newest_first(folder: Folder) -> None:
    folder.fill(lambda store: store.check_writable())
    folder.run("pause", "bookshop", "export", "--why", "new disk")
    folder.run("resume", "bookshop", "export")
    first, second = folder.run("actions").output.splitlines()[-2:]
    assert " resume " in first
    assert "command line" in second
    assert "why: new disk" in second
    (last,) = folder.run("actions", "--limit", "1", "--json").output.splitlines()
    assert json.loads(last)["account"] == "bookshop"
    assert folder.run("actions", "--account", "bookshop").output.count("bookshop") == 2


def test_without_actions_it_says_so(folder: Folder) -> None:
    folder.fill(lambda store: store.check_writable())
    assert folder.run("actions").output == "No actions.\n"
    assert "did you mean 'bookshop'?" in folder.run("actions", "--account", "bookshp", code=1).output
