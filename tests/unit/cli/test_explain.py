"""The command explain."""

import json
from typing import Any

from gateway.model import RetryAt
from gateway.store.contract import Store
from gateway.store.values import ClaimRequest, Result, Target
from tests.support.factory import make_signal
from tests.support.folder import CONFIG, Folder

NOW = 1_800_000_000.0


async def fill(store: Store) -> None:
    """Store three signals of one order: the first is retried, the others wait behind it, and the last is late."""
    for item, day in (("1", "20"), ("2", "21"), ("2", "19")):
        sent = make_signal("ItemShipped", account="bookshop", order="1", item=item, datetime=f"2026-11-{day}T10:00:00Z")
        await store.accept(sent, [Target("export", "1")], ["alerts"], False)
    claim = await store.claim([ClaimRequest("bookshop", "export", 1)], NOW, NOW + 60)
    retry = RetryAt(NOW + 3600, "disk full")
    await store.record([Result(delivery, retry, None, NOW) for delivery in claim.deliveries], {})


def explained(folder: Folder, signal: int) -> dict[str, dict[str, Any]]:
    rows = map(json.loads, folder.run("explain", str(signal), "--json").output.splitlines())
    return {row["route"]: row for row in rows}


def test_each_route_is_explained(folder: Folder) -> None:
    folder.fill(fill)
    rows = explained(folder, 2)
    assert (rows["export"]["why"], rows["export"]["behind"], rows["export"]["state"]) == ("behind", 1, "pending")
    assert (rows["alerts"]["why"], rows["alerts"]["state"]) == ("filtered", None)
    text = folder.run("explain", "2").output
    assert text.startswith(
        "Signal 2: ItemShipped of order 1 (your reference PO-1001), accepted for bookshop at 2026-11-20 10:11:12 UTC\n"
    )
    for words in ("waits behind signal 1", "disk full", "did not ask for ItemShipped", "filtered"):
        assert words in text


def test_late_signals_and_removed_accounts_are_explained(folder: Folder) -> None:
    folder.fill(fill)
    (folder.path / "gateway.yaml").write_text(CONFIG.replace("bookshop:", "bookstore:"))
    text = folder.run("explain", "3").output
    assert "late: a later one of its order was there before" in text
    assert "The account bookshop is no longer configured." in text
    assert explained(folder, 3)["export"]["why"] == "unconfigured"


def test_a_pause_is_part_of_the_explanation(folder: Folder) -> None:
    folder.fill(fill)
    folder.run("pause", "bookshop", "export", "--why", "new disk")
    row = explained(folder, 1)["export"]
    assert row["why"] == "paused"
    assert ": new disk; the delivery waits" in row["text"]


def test_a_signal_that_is_not_there_is_an_error(folder: Folder) -> None:
    assert "there is no signal 99" in folder.run("explain", "99", code=1).output


def test_listings_mark_late_signals_and_replays(folder: Folder) -> None:
    folder.fill(fill)
    rows = [json.loads(line) for line in folder.run("deliveries", "--json").output.splitlines()]
    assert [(row["signal"], row["late"], row["replayed"]) for row in rows] == [
        (3, True, False),
        (2, False, False),
        (1, False, False),
    ]
    rows = [json.loads(line) for line in folder.run("signals", "--json").output.splitlines()]
    assert [row["late"] for row in rows] == [True, False, False]
    assert " late " in folder.run("signals").output
    assert " late " in folder.run("deliveries").output
    shown = json.loads(folder.run("show", "3", "--json").output)
    assert (shown["late"], shown["deliveries"][0]["replayed"]) == (True, False)
    assert f"{'late':16} yes" in folder.run("show", "3").output
