"""The commands quarantine and quarantine replay."""

import json
import os
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.cli import progress
from gateway.operate import quarantine
from gateway.store.contract import Store
from gateway.store.values import Refused
from tests.support.folder import CONFIG, Folder, lines
from tests.support.payloads import example

NOW = 1_800_000_000.0
UNKNOWN = "  bookshop:\n    unknown_types: reject"
EXPORT = "{sink: csv, options: {directory: exports}}"
TAKES_ALL = CONFIG.replace(EXPORT, "{sink: csv, signals: ['*'], options: {directory: exports}}")


@pytest.fixture
def refused(folder: Folder) -> Folder:
    """Store two requests of refused types, one without an order, and one of a removed account."""

    async def fill(store: Store) -> None:
        for number in ("1", "2"):
            await keep(store, {**example("ItemPacked", item=number), "type": "ItemFolded"}, {"type": "is not known"})
        await keep(store, example("ItemPacked", order=None), {"order": "required"}, at=NOW + 60)
        await keep(store, example("ItemPacked"), {"item": "required"}, "gone")

    async def keep(
        store: Store, payload: dict[str, Any], errors: dict[str, str], account: str = "bookshop", at: float = NOW
    ) -> None:
        await store.quarantine(Refused(account, at, json.dumps(payload), errors))

    folder.fill(fill)
    configure(folder, TAKES_ALL.replace("  bookshop:", UNKNOWN).replace("hold", "accept"))
    return folder


def configure(folder: Folder, text: str) -> None:
    (folder.path / "gateway.yaml").write_text(text)


def accept_unknown(folder: Folder) -> None:
    configure(folder, TAKES_ALL.replace("hold", "accept"))


def listed(folder: Folder) -> Sequence[int]:
    return sorted(row["id"] for row in lines(folder.run("quarantine", "--json").output))


def test_requests_that_are_still_refused_stay_with_their_present_errors(refused: Folder) -> None:
    rows = lines(refused.run("quarantine", "replay", "--all", "--json", code=1).output)
    assert [(row["id"], row["result"]) for row in rows] == [(n, "refused") for n in (1, 2, 3, 4)]
    assert [row["errors"] for row in rows] == [
        {"type": "is not known, and this account takes known types only"},
        {"type": "is not known, and this account takes known types only"},
        {"order": "must not be null"},
        {"account": "is not configured"},
    ]
    assert listed(refused) == [1, 2, 3, 4]


def test_a_dry_run_prints_verdicts_and_changes_nothing(refused: Folder) -> None:
    accept_unknown(refused)
    output = refused.run("quarantine", "replay", "1", "2", "--dry-run").stdout
    assert "0 already accepted, 0 refused, 2 would be accepted; nothing was changed." in output
    assert "export" in output
    assert listed(refused) == [1, 2, 3, 4]
    assert refused.run("signals").output == "No signals.\n"


def test_an_accepted_request_leaves_quarantine_and_is_a_signal_like_others(refused: Folder) -> None:
    accept_unknown(refused)
    result = refused.run("quarantine", "replay", "--account", "bookshop", code=1)
    assert "0 already accepted, 1 refused, 2 accepted." in result.stdout
    assert "order: must not be null" in result.stdout
    assert listed(refused) == [3, 4]
    second, first = lines(refused.run("signals", "--json").output)
    assert (first["type"], first["item"], second["item"]) == ("ItemFolded", "1", "2")
    assert first["filtered"] == ["alerts"]
    assert [row["route"] for row in lines(refused.run("deliveries", "--json").output)] == ["export", "export"]
    assert "each is accounted for" in refused.run("audit").stdout


def test_an_accepted_request_is_kept_with_its_signal_and_the_action_is_recorded(
    refused: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    accept_unknown(refused)
    refused.run("quarantine", "replay", "2")
    kept = refused.rows("SELECT id, signal_id, accepted_at > received_at, errors FROM quarantine ORDER BY id")
    assert kept[1] == (2, 1, 0, '{"type":"is not known"}')
    assert [row[1] for row in kept] == [None, 1, None, None]
    assert refused.rows("SELECT actor, action, detail FROM actions") == [
        ("ada", "release", '{"account":"bookshop","quarantine":2,"signal":1}')
    ]


def test_a_request_that_the_sender_has_repeated_is_a_duplicate(refused: Folder) -> None:
    accept_unknown(refused)
    refused.run("quarantine", "replay", "1")
    refused.fill(lambda store: store.quarantine(Refused("bookshop", NOW, spaced(refused), {"type": "is not known"})))
    (row,) = lines(refused.run("quarantine", "replay", "5", "--json").output)
    assert (row["result"], row["signal"]) == ("duplicate", None)
    assert len(lines(refused.run("signals", "--json").output)) == 1
    assert refused.rows("SELECT signal_id FROM quarantine WHERE id = 5") == [(1,)]


def spaced(folder: Folder) -> str:
    """Return the first request's payload with other white space."""
    ((body,),) = folder.rows("SELECT body FROM quarantine WHERE id = 1")
    return json.dumps(json.loads(body), indent=1)


def test_a_signal_of_an_unknown_order_is_held(refused: Folder) -> None:
    configure(refused, TAKES_ALL)
    assert "accepted, held: order unknown" in refused.run("quarantine", "replay", "1").stdout
    assert lines(refused.run("deliveries", "--json").output)[0]["held"]


def test_filters_select_requests(refused: Folder) -> None:
    accept_unknown(refused)
    for words in (["--until", "2027-01-15T08:00Z"], ["--since", "2027-01-15T08:02Z"]):
        assert "Nothing in quarantine matches." in refused.run("quarantine", "replay", *words).stdout
    rows = lines(refused.run("quarantine", "replay", "--since", "2027-01-15T08:01Z", "--json", code=1).output)
    assert [row["id"] for row in rows] == [3]


def test_an_id_that_is_not_in_quarantine_is_an_error(refused: Folder) -> None:
    accept_unknown(refused)
    refused.run("quarantine", "replay", "1")
    result = refused.run("quarantine", "replay", "1", "2", "99", code=1)
    assert result.stderr.endswith("1 is not in quarantine\n99 is not in quarantine\n")
    assert listed(refused) == [3, 4]


def test_wrong_usage_of_quarantine_replay_is_an_error(refused: Folder) -> None:
    assert "name the requests to replay" in refused.run("quarantine", "replay", code=2).output
    assert "options behind the command" in refused.run("quarantine", "--account", "x", "replay", "1", code=2).output


def test_bodies_that_are_not_json_objects_stay_refused(folder: Folder) -> None:
    bodies = ["", "[1]", "{", '{"a":' * 300 + "1" + "}" * 300, "\udcff", "\\x00"]

    async def fill(store: Store) -> None:
        for body in bodies:
            await store.quarantine(Refused("bookshop", NOW, body, {"body": "wrong"}))

    folder.fill(fill)
    rows = lines(folder.run("quarantine", "replay", "--all", "--json", code=1).output)
    assert [row["result"] for row in rows] == ["refused"] * len(bodies)


def test_ctrl_c_ends_it_between_pages(refused: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    accept_unknown(refused)
    monkeypatch.setattr(quarantine, "REQUESTS_PER_PAGE", 1)
    show = progress.Bar.show

    def press(bar: progress.Bar, done: int, total: int | None) -> None:
        show(bar, done, total)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(progress.Bar, "show", press)
    result = refused.run("quarantine", "replay", "--all", code=130)
    assert "1 accepted." in result.stdout
    assert "Interrupted; requests that were not reached are still in quarantine." in result.stderr
    assert listed(refused) == [2, 3, 4]


def test_quarantine_prints_the_errors_of_each_request(folder: Folder) -> None:
    folder.fill(lambda store: store.quarantine(Refused("bookshop", NOW, '{"type":"Item"}', {"order": "required"})))
    assert "order: required" in folder.run("quarantine").output
    (row,) = lines(folder.run("quarantine", "--json", "--account", "bookshop").output)
    assert row["errors"] == {"order": "required"}
