"""The commands retry, skip and probe, where no gateway runs: what they ask for, and what they refuse."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gateway.model import Dead, RetryAt
from gateway.store.contract import Store
from gateway.store.values import ClaimRequest, Filter, Result, RouteState, Target
from tests.support.factory import make_signal
from tests.support.folder import Folder, lines

LATER = time.time() + 3600
RESTS = RouteState("bookshop", "export", opened=1, probe_at=LATER, reason="answered 404")


async def fill(store: Store) -> None:
    """Store two signals of one order, which is retried in an hour, and one of another, on export and alerts."""
    for item, order in (("1", "1"), ("2", "1"), ("3", "2")):
        sent = make_signal("ItemError", account="bookshop", order=order, item=item)
        await store.accept(sent, [Target("export", order), Target("alerts", order)], [], False)
    claim = await store.claim([ClaimRequest("bookshop", "export", 1)], LATER, LATER + 60)
    await store.record([Result(claim.deliveries[0], RetryAt(LATER, "busy"), None, LATER)], {})


@pytest.fixture
def filled(folder: Folder) -> Folder:
    folder.fill(fill)
    return folder


def due_of(folder: Folder, signal: int, route: str = "export") -> float | None:
    return folder.rows(f"SELECT due_at FROM deliveries WHERE signal_id = {signal} AND route = '{route}'")[0][0]


def test_a_retried_delivery_is_due_before_all_others(filled: Folder) -> None:
    output = filled.run("retry", "1", "--route", "export", "--wait", "0").output
    assert "bookshop/export: signal 1 is due now, and was not tried yet" in output
    first, other = due_of(filled, 1), due_of(filled, 3)
    assert first is not None
    assert other is not None
    assert first < other


def test_without_a_route_all_pending_ones_of_the_signal_are_due(filled: Folder) -> None:
    rows = lines(filled.run("retry", "1", "--wait", "0", "--json").output)
    assert {(row["route"], row["outcome"]) for row in rows} == {("export", "waiting"), ("alerts", "waiting")}


REFUSED: list[tuple[list[str], str]] = [
    (["retry", "2"], "signal 2 on alerts waits behind signal 1 of its order: `cloudsignal retry` that one"),
    (["retry", "9"], "there is no signal 9"),
    (["retry", "1", "--route", "exprot"], "no route 'exprot'; did you mean 'export'?"),
    (["skip", "1", "--route", "exprot"], "no route 'exprot'; did you mean 'export'?"),
    (["skip", "9", "--route", "export"], "there is no signal 9"),
    (["probe", "bookshop", "exprot"], "no route 'exprot'; did you mean 'export'?"),
    (["probe", "bookshop", "export"], "bookshop/export is running, and not resting"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_can_not_be_done_is_told(filled: Folder, words: list[str], message: str) -> None:
    assert message in filled.run(*words, code=1).output
    assert not filled.rows("SELECT * FROM actions")


def test_an_ended_delivery_is_replayed_and_not_retried(filled: Folder) -> None:
    async def end(store: Store) -> None:
        claim = await store.claim([ClaimRequest("bookshop", "alerts", 1)], LATER, LATER + 60)
        await store.record([Result(claim.deliveries[0], Dead("no"), None, LATER)], {})

    filled.fill(end)
    output = filled.run("retry", "1", "--route", "alerts", code=1).output
    assert "signal 1 has ended (alerts: dead): `cloudsignal replay 1 --route alerts` delivers it again" in output


def test_a_delivery_in_hand_is_neither_retried_nor_skipped(filled: Folder) -> None:
    filled.fill(lambda store: store.claim([ClaimRequest("bookshop", "alerts", 1)], LATER, LATER + 60))
    for words in (["retry", "1", "--route", "alerts"], ["skip", "1", "--route", "alerts"]):
        assert "signal 1 on alerts is being delivered just now" in filled.run(*words, code=1).output


def test_a_held_delivery_is_skipped_but_not_retried(folder: Folder) -> None:
    sent = make_signal("ItemError", account="bookshop", order="1")
    folder.fill(lambda store: store.accept(sent, [Target("export", "1")], [], True))
    assert "is held until its order is known" in folder.run("retry", "1", code=1).output
    assert "signal 1 is skipped" in folder.run("skip", "1", "--route", "export").output


def test_a_skipped_delivery_is_filtered_with_the_reason_and_is_recorded(filled: Folder) -> None:
    row = lines(filled.run("skip", "1", "--route", "export", "--why", "made by hand", "--json").output)[0]
    assert row == {"account": "bookshop", "route": "export", "signal": 1, "state": "filtered"}
    found = {r["signal"]: r for r in lines(filled.run("deliveries", "--route", "export", "--json").output)}
    assert (found[1]["state"], found[2]["state"]) == ("filtered", "pending")
    assert found[1]["reason"].endswith(": made by hand")
    assert due_of(filled, 2) is not None
    assert filled.rows("SELECT action FROM actions") == [("skip",)]
    assert "each is accounted for" in filled.run("audit").output


def test_a_resting_route_is_probed_with_a_delivery_that_was_never_tried(filled: Folder) -> None:
    filled.fill(lambda store: store.save_route_state(RESTS))
    (row,) = lines(filled.run("probe", "bookshop", "export", "--wait", "0", "--json").output)
    assert (row["signal"], row["outcome"]) == (3, "waiting")
    assert filled.rows("SELECT probe_at FROM routes") == [(0,)]


def test_a_resting_route_without_anything_pending_is_tried_by_its_next_signal(folder: Folder) -> None:
    folder.fill(lambda store: store.save_route_state(RESTS))
    assert "its next signal will be tried at once" in folder.run("probe", "bookshop", "export").output


def test_a_paused_route_is_to_be_resumed_first(filled: Folder) -> None:
    filled.fill(lambda store: store.save_route_state(RESTS))
    filled.run("pause", "bookshop", "export")
    for words in (["probe", "bookshop", "export"], ["retry", "1", "--route", "export"]):
        assert "`cloudsignal resume bookshop export` first" in filled.run(*words, code=1).output
    assert "`cloudsignal probe bookshop export` does so now" in filled.run("resume", "bookshop", "export").output
    assert "`cloudsignal probe bookshop export` tries it now" in filled.run("resume", "bookshop", "export").output


@pytest.mark.parametrize(
    ("signal", "advice"),
    [
        (1, {"export": "cloudsignal retry 1 --route export", "alerts": ""}),
        (2, {"export": "cloudsignal retry 1 --route export", "alerts": "cloudsignal retry 1 --route alerts"}),
    ],
)
def test_an_explanation_names_the_command_that_helps(filled: Folder, signal: int, advice: dict[str, Any]) -> None:
    rows = lines(filled.run("explain", str(signal), "--json").output)
    assert {row["route"]: row["advice"] for row in rows} == advice


def test_the_explanation_of_a_resting_route_names_probe(filled: Folder) -> None:
    filled.fill(lambda store: store.save_route_state(RESTS))
    assert "cloudsignal probe bookshop export" in filled.run("explain", "3").output.replace("\n", " ")
    assert filled.fill(lambda store: store.list_deliveries(Filter(), 9))
