"""Commands that look into the store and mend it."""

import json
from dataclasses import replace
from typing import Any

from gateway.model import Attempt, Dead, Done, Kind, lane_of
from gateway.store.contract import Store
from gateway.store.values import ClaimRequest, Refused, Result, Target
from tests.support.factory import make_signal
from tests.unit.cli.conftest import Folder

NOW = 1_800_000_000.0


async def fill(store: Store) -> list[int]:
    """Three signals of two orders: one delivered, one dead, one pending behind nothing."""
    ids = []
    for order, type in (("1", "ItemShipped"), ("1", "ItemError"), ("2", "ItemShipped")):
        signal = make_signal(type, account="bookshop", order=order)
        accepted = await store.accept(signal, [Target("export", lane_of(signal, "lane"))], ["alerts"], False)
        ids.append(accepted.signal_id)
    for decision in (Done("delivered"), Dead("no such order")):
        claim = await store.claim([ClaimRequest("bookshop", "export", 1)], NOW, NOW + 60)
        attempt = Attempt(1, NOW, 0.5, Kind.PERMANENT, "no such order") if isinstance(decision, Dead) else None
        await store.record([Result(claim.deliveries[0], decision, attempt, NOW)], {})
    return ids


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_nothing_yet_is_said_so(folder: Folder) -> None:
    assert folder.run("signals").output == "No signals.\n"
    assert folder.run("deliveries").output == "No deliveries.\n"
    assert folder.run("dead").output == "No dead letters.\n"
    assert folder.run("quarantine").output == "Nothing in quarantine.\n"
    assert folder.run("replay", "--dead").stdout == "Nothing matches.\n"


def test_a_store_that_was_not_there_is_told(folder: Folder) -> None:
    """As it is where a command runs in another folder than the gateway."""
    config = folder.path / "gateway.yaml"
    config.write_text(config.read_text().replace("gateway.db", "data/gateway.db"))
    first = folder.run("dead")
    assert first.stdout == "No dead letters.\n"
    assert first.stderr == f"note: there was no store at {folder.path}/data/gateway.db; an empty one was made\n"
    assert folder.run("dead").stderr == ""


def test_signals_are_listed_newest_first_and_filtered(folder: Folder) -> None:
    ids = folder.fill(fill)
    assert [row["id"] for row in lines(folder.run("signals", "--json").output)] == ids[::-1]
    assert [row["id"] for row in lines(folder.run("signals", "--json", "--order", "2").output)] == ids[2:]
    assert [row["id"] for row in lines(folder.run("signals", "--json", "--type", "ItemError").output)] == ids[1:2]
    assert len(lines(folder.run("signals", "--json", "--account", "bookshop").output)) == 3
    assert len(lines(folder.run("signals", "--json", "--limit", "1").output)) == 1
    table = folder.run("signals").output
    assert "ItemShipped" in table
    assert "PO-1001" in table


def test_times_are_iso_or_so_long_ago(folder: Folder) -> None:
    folder.fill(fill)
    assert lines(folder.run("signals", "--json", "--since", "1s").output) == []
    assert len(lines(folder.run("signals", "--json", "--since", "2026-11-20T00:00Z").output)) == 3
    assert lines(folder.run("signals", "--json", "--until", "2026-11-20").output) == []
    assert "expected a time" in folder.run("signals", "--since", "yesterday", code=2).output


def test_show_tells_what_became_of_a_signal(folder: Folder) -> None:
    _, ids_error, _ = folder.fill(fill)
    text = folder.run("show", str(ids_error)).output
    for words in (
        "ItemError",
        "Paper jam",
        "dead",
        "no such order",
        "unrouted         alerts",
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


def test_deliveries_by_state(folder: Folder) -> None:
    ids = folder.fill(fill)
    states = {row["signal"]: row["state"] for row in lines(folder.run("deliveries", "--json").output)}
    assert sorted(states.values()) == ["dead", "delivered", "pending"]
    (pending,) = lines(folder.run("deliveries", "--json", "--state", "pending").output)
    assert states[pending["signal"]] == "pending"
    (dead,) = lines(folder.run("dead", "--json").output)
    assert dead["signal"] in ids
    assert dead["reason"] == "no such order"
    assert "no such order" in folder.run("dead").output


def test_a_dry_run_changes_nothing_and_a_replay_is_not_doubled(folder: Folder) -> None:
    folder.fill(fill)
    assert "1 would be replayed" in folder.run("replay", "--dead", "--dry-run").output
    assert len(lines(folder.run("dead", "--json").output)) == 1
    assert "1 to be delivered again" in folder.run("replay", "--dead").output
    assert folder.run("dead").output == "No dead letters.\n"
    assert folder.run("replay", "--dead").stdout == "Nothing matches.\n"


def test_replay_by_id_takes_what_was_delivered_too(folder: Folder) -> None:
    ids = folder.fill(fill)
    rows = lines(folder.run("replay", str(ids[0]), "--json").output)
    assert rows == [{"account": "bookshop", "route": "export", "deliveries": 1, "replayed": True}]


def test_replay_wants_to_know_what(folder: Folder) -> None:
    assert "name the deliveries to replay" in folder.run("replay", code=2).output


def test_orders_frees_what_was_held(folder: Folder) -> None:
    async def hold(store: Store) -> None:
        signal = make_signal(account="bookshop", order="7", order_reference="PO-7")
        await store.accept(signal, [Target("export", "7")], [], True)

    folder.fill(hold)
    assert lines(folder.run("deliveries", "--json").output)[0]["held"]
    assert "held: order unknown" in folder.run("deliveries").output
    output = folder.run("orders", "bookshop", "--from", "-", stdin="PO-7\n\n").output
    assert output == "1 order known to bookshop; 1 held delivery freed.\n"
    assert not lines(folder.run("deliveries", "--json").output)[0]["held"]
    assert "name at least one order" in folder.run("orders", "bookshop", code=2).output
    assert "did you mean 'bookshop'?" in folder.run("orders", "bokshop", "PO-7", code=1).output


def test_quarantine_says_what_was_wrong(folder: Folder) -> None:
    folder.fill(lambda store: store.quarantine(Refused("bookshop", NOW, '{"type":"Item"}', {"order": "required"})))
    assert "order: required" in folder.run("quarantine").output
    (row,) = lines(folder.run("quarantine", "--json", "--account", "bookshop").output)
    assert row["errors"] == {"order": "required"}


def test_what_the_sender_wrote_does_nothing_to_the_terminal(folder: Folder) -> None:
    async def fill(store: Store) -> int:
        signal = make_signal(account="bookshop")
        signal = replace(signal, payload={**signal.payload, "note\x1b[2J": "a\x1b]0;title\x07\nb é"})
        return (await store.accept(signal, [], [], False)).signal_id

    output = folder.run("show", str(folder.fill(fill))).output
    assert "\x1b" not in output
    assert "a\\x1b]0;title\\x07\\nb é" in output


def test_what_the_sender_wrote_is_no_markup(folder: Folder) -> None:
    async def fill(store: Store) -> None:
        signal = replace(make_signal(account="bookshop"), type="[bold]Odd[/bold]")
        await store.accept(signal, [], [], False)

    folder.fill(fill)
    assert "[bold]Odd[/bold]" in folder.run("signals").output
