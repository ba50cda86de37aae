"""The command purge."""

from __future__ import annotations

import json

from tests.support.filled import fill_with_old
from tests.support.folder import Folder


def test_a_dry_run_counts_and_removes_nothing(folder: Folder) -> None:
    folder.fill(fill_with_old)
    says = "would be removed; nothing was changed.\n"
    assert folder.run("purge", "--dry-run").output == f"1 signal and 0 quarantined requests {says}"
    assert (
        folder.run("purge", "--dry-run", "--older-than", "101d").output
        == f"0 signals and 0 quarantined requests {says}"
    )
    output = folder.run("purge", "--dry-run", "--dead", "--quarantine", "--json").output
    assert json.loads(output) == {"signals": 2, "quarantined": 1, "removed": False}
    assert len(folder.run("signals", "--json").output.splitlines()) == 3


def test_old_signals_are_removed_and_the_action_is_recorded(folder: Folder) -> None:
    folder.fill(fill_with_old)
    assert "1 signal with 1 delivery, and 0 quarantined requests removed." in folder.run("purge").output
    removed = json.loads(folder.run("purge", "--dead", "--quarantine", "--json").output)
    assert removed == {"signals": 1, "quarantined": 1, "removed": True, "deliveries": 1}
    (pending,) = map(json.loads, folder.run("deliveries", "--json").output.splitlines())
    assert pending["state"] == "pending"
    assert folder.run("quarantine").output == "Nothing in quarantine.\n"
    events = folder.fill(lambda store: store.list_actions("purge", 10))
    assert [(event.detail["signals"], event.detail["quarantined"]) for event in events] == [(1, 1), (1, 0)]


def test_the_default_age_is_the_retention(folder: Folder) -> None:
    folder.fill(fill_with_old)
    config = folder.path / "gateway.yaml"
    config.write_text(config.read_text().replace('gateway.db"}', 'gateway.db", retention: 101d}'))
    assert json.loads(folder.run("purge", "--json").output)["signals"] == 0
    assert json.loads(folder.run("purge", "--older-than", "99d", "--json").output)["signals"] == 1
    assert "expected a duration" in folder.run("purge", "--older-than", "long", code=2).output
