"""The commands signals, show and explain, and all that prints signals."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.store.contract import Store
from tests.support.factory import make_signal
from tests.support.filled import fill_with_states
from tests.support.folder import Folder, lines

NOW = 1_800_000_000.0


def test_an_empty_store_prints_a_sentence_for_each_command(folder: Folder) -> None:
    assert folder.run("signals").output == "No signals.\n"
    assert folder.run("deliveries").output == "No deliveries.\n"
    assert folder.run("dead").output == "No dead letters.\n"
    assert folder.run("quarantine").output == "Nothing in quarantine.\n"
    assert folder.run("replay", "--dead").stdout == "Nothing matches.\n"


def test_a_store_that_is_not_there_is_an_error_and_none_is_made(folder: Folder) -> None:
    """A command that runs in another folder than the gateway finds no store there."""
    config = folder.path / "gateway.yaml"
    config.write_text(config.read_text().replace("gateway.db", "data/gateway.db"))
    for _ in range(2):
        says = folder.run("dead", code=1).stderr
        assert says.startswith(f"there is no store at {folder.path}/data/gateway.db: `cloudsignal serve` makes it. ")
    assert not (folder.path / "data").exists()


def test_signals_are_listed_newest_first_and_filtered(folder: Folder) -> None:
    ids = folder.fill(fill_with_states)
    assert [row["id"] for row in lines(folder.run("signals", "--json").output)] == ids[::-1]
    assert [row["id"] for row in lines(folder.run("signals", "--json", "--order", "2").output)] == ids[2:]
    assert [row["id"] for row in lines(folder.run("signals", "--json", "--type", "ItemError").output)] == ids[1:2]
    assert len(lines(folder.run("signals", "--json", "--account", "bookshop").output)) == 3
    assert len(lines(folder.run("signals", "--json", "--limit", "1").output)) == 1
    table = folder.run("signals").output
    assert "ItemShipped" in table
    assert "PO-1001" in table


def test_an_incomplete_signal_is_marked(folder: Folder) -> None:
    async def fill(store: Store) -> None:
        await store.accept(make_signal("ItemShipped", tracking=" "), (), (), False)

    folder.fill(fill)
    [row] = lines(folder.run("signals", "--json").output)
    assert (row["incomplete"], row["missing"]) == (True, ["tracking"])
    assert "incomplete" in folder.run("signals").output
    assert "missing          tracking" in folder.run("show", "1").output


def test_times_are_iso_or_ages(folder: Folder) -> None:
    folder.fill(fill_with_states)
    assert lines(folder.run("signals", "--json", "--since", "1s").output) == []
    assert len(lines(folder.run("signals", "--json", "--since", "2026-11-20T00:00Z").output)) == 3
    assert lines(folder.run("signals", "--json", "--until", "2026-11-20").output) == []
    assert "expected a time" in folder.run("signals", "--since", "yesterday", code=2).output


def test_show_prints_payload_deliveries_and_failed_attempts(folder: Folder) -> None:
    _, ids_error, _ = folder.fill(fill_with_states)
    text = folder.run("show", str(ids_error)).output
    for words in (
        "ItemError",
        "Paper jam",
        "dead",
        "no such order",
        "filtered         alerts",
        "late             no",
        "1 given when accepted",
    ):
        assert words in text
    (shown,) = lines(folder.run("show", str(ids_error), "--json").output)
    assert shown["payload"]["cause"] == "Paper jam"
    (delivery,) = shown["deliveries"]
    assert (delivery["state"], delivery["attempts"]) == ("dead", 1)
    assert delivery["failed_attempts"][0]["reason"] == "no such order"


def test_a_signal_that_is_not_there_is_an_error(folder: Folder) -> None:
    assert "there is no signal 99" in folder.run("show", "99", code=1).output


def test_control_characters_of_the_sender_are_escaped(folder: Folder) -> None:
    async def fill(store: Store) -> int:
        signal = make_signal(account="bookshop")
        signal = replace(signal, payload={**signal.payload, "note\x1b[2J": "a\x1b]0;title\x07\nb é"})
        return (await store.accept(signal, [], [], False)).signal_id

    output = folder.run("show", str(folder.fill(fill))).output
    assert "\x1b" not in output
    assert "a\\x1b]0;title\\x07\\nb é" in output


def test_markup_of_the_sender_is_printed_as_text(folder: Folder) -> None:
    async def fill(store: Store) -> None:
        signal = replace(make_signal(account="bookshop"), type="[bold]Odd[/bold]")
        await store.accept(signal, [], [], False)

    folder.fill(fill)
    assert "[bold]Odd[/bold]" in folder.run("signals").output


def test_a_warning_of_a_command_goes_to_stderr(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.fill(fill_with_states)
    (folder.path / "gateway.db").chmod(0o644)

    def refuse(path: Path, mode: int) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", refuse)
    result = folder.run("signals", "--json")
    assert lines(result.stdout)
    assert "store.file_open_to_others" in result.stderr
