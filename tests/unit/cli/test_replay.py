"""The command replay: page by page, interrupted, and continued."""

import os
import signal
from collections.abc import Iterator

import pytest

from gateway.cli import progress
from gateway.model import Attempt, Dead, Done, Kind
from gateway.store.contract import Store
from gateway.store.reads import pages
from gateway.store.values import ClaimRequest, Result, Target
from tests.support.factory import make_signal
from tests.support.filled import fill_with_states
from tests.support.folder import Folder, lines

NOW = 1_800_000_000.0


async def bury(store: Store) -> None:
    """Store ten dead letters on each of two routes."""
    for order in range(10):
        sent = make_signal("ItemError", account="bookshop", order=str(order))
        await store.accept(sent, [Target("export", sent.order), Target("alerts", None)], [], False)
    for route in ("export", "alerts"):
        claim = await store.claim([ClaimRequest("bookshop", route, 100)], NOW, NOW + 60)
        attempt = Attempt(1, NOW, 0.5, Kind.PERMANENT, "no")
        await store.record([Result(delivery, Dead("no"), attempt, NOW) for delivery in claim.deliveries], {})


@pytest.fixture
def buried(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setattr(pages, "SIGNALS_PER_REPLAY", 3)
    folder.fill(bury)
    return folder


@pytest.fixture
def impatient() -> Iterator[pytest.MonkeyPatch]:
    """Press Ctrl-C after each page, until undone."""
    show = progress.Bar.show

    def press(bar: progress.Bar, done: int, total: int | None) -> None:
        show(bar, done, total)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patience:
        patience.setattr(progress.Bar, "show", press)
        yield patience


def pending(folder: Folder) -> int:
    return int(folder.rows("SELECT count(*) FROM deliveries WHERE state = 'pending'")[0][0])


def test_all_pages_are_replayed_and_counted_per_route(buried: Folder) -> None:
    output = buried.run("replay", "--dead").output
    assert "20 to be delivered again" in output
    assert "10/10" in output
    assert pending(buried) == 20


def test_a_replay_is_recorded_and_a_dry_run_is_not(buried: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    for words in (["--dry-run"], [], []):
        buried.run("replay", "--dead", "--route", "alerts", *words)
    assert buried.rows("SELECT actor, action, detail FROM actions") == [
        ("ada", "replay", '{"route":"alerts","state":"dead","deliveries":10}')
    ]


def test_a_dry_run_counts_per_route(buried: Folder) -> None:
    output = buried.run("replay", "--type", "ItemError", "--route", "alerts", "--dry-run").output
    assert "10 would be replayed; nothing was changed." in output
    assert "export" not in output
    assert pending(buried) == 0


def test_ctrl_c_ends_a_replay_between_pages_and_prints_how_to_continue(
    buried: Folder, impatient: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGINT)
    output = buried.run("replay", "--dead", code=130).output
    assert "6 to be delivered again" in output
    assert "Interrupted after signal 3; to go on: --after 3" in output
    assert pending(buried) == 6
    assert signal.getsignal(signal.SIGINT) == before
    impatient.undo()
    assert "14 to be delivered again" in buried.run("replay", "--dead", "--after", "3").output
    assert pending(buried) == 20


@pytest.mark.usefixtures("impatient")
def test_ctrl_c_after_the_last_page_interrupts_nothing(buried: Folder) -> None:
    assert "6 to be delivered again" in buried.run("replay", "1", "2", "3").output


def test_a_dry_run_changes_nothing_and_a_replay_is_not_doubled(folder: Folder) -> None:
    folder.fill(fill_with_states)
    assert "1 would be replayed" in folder.run("replay", "--dead", "--dry-run").output
    assert len(lines(folder.run("dead", "--json").output)) == 1
    assert "1 to be delivered again" in folder.run("replay", "--dead").output
    assert folder.run("dead").output == "No dead letters.\n"
    assert folder.run("replay", "--dead").stdout == "Nothing matches.\n"


def test_a_replay_by_id_leaves_out_what_was_delivered(folder: Folder) -> None:
    delivered, *_ = folder.fill(fill_with_states)
    done = folder.run("replay", str(delivered))
    assert "Nothing matches." in done.output
    assert f"`cloudsignal replay {delivered} --route export` repeats it" in done.output
    assert folder.run("replay", str(delivered), "--json").output == ""


@pytest.mark.parametrize("words", [["--again"], ["--route", "export"]])
def test_a_replay_by_id_includes_what_was_delivered_if_asked(folder: Folder, words: list[str]) -> None:
    ids = folder.fill(fill_with_states)
    rows = lines(folder.run("replay", str(ids[0]), "--json", *words).output)
    assert rows == [{"account": "bookshop", "route": "export", "deliveries": 1, "replayed": True}]


def test_a_replay_by_id_repeats_dead_and_filtered_ones_and_names_pending_ones(folder: Folder) -> None:
    """One signal: delivered to the CSV file, dead at the ERP, pending at the alerts."""

    async def fill(store: Store) -> None:
        sent = make_signal("ItemError", account="bookshop", order="1")
        await store.accept(sent, [Target(name, "1") for name in ("export", "alerts", "gone")], [], False)
        for route, decision in (("export", Done("delivered")), ("gone", Dead("no"))):
            claim = await store.claim([ClaimRequest("bookshop", route, 9)], NOW, NOW + 60)
            await store.record([Result(delivery, decision, None, NOW) for delivery in claim.deliveries], {})

    folder.fill(fill)
    shown = folder.run("replay", "1", "--dry-run").output
    assert "1 would be replayed" in shown
    done = folder.run("replay", "1").output
    assert "`cloudsignal retry 1 --route alerts` tries it now" in done
    assert "signal 1 was delivered on export" in done
    rows = {row["route"]: row["state"] for row in lines(folder.run("deliveries", "--json").output)}
    assert rows == {"export": "delivered", "alerts": "pending", "gone": "pending"}


def test_replay_without_a_filter_is_wrong_usage(folder: Folder) -> None:
    assert "name the deliveries to replay" in folder.run("replay", code=2).output
