"""The commands routes, pause and resume."""

import json
from typing import Any

import pytest

from gateway.cli import render
from gateway.model import Dead, lane_of
from gateway.operate import views
from gateway.store.contract import Store
from gateway.store.values import ClaimRequest, Result, RouteState, Target
from tests.support.factory import AT, make_signal
from tests.support.folder import CONFIG, Folder

NOW = AT.timestamp()
PROBE = AT.timestamp() + 60


async def fill(store: Store) -> None:
    """Store two deliveries of one order on export, one on alerts, and one on a route that is not configured."""
    for item in ("1", "2"):
        signal = make_signal("ItemError", account="bookshop", order="1", item=item)
        routes = ["export", *(["alerts", "gone"] if item == "1" else [])]
        await store.accept(signal, [Target(route, lane_of(signal, "lane")) for route in routes], [], False)


def listed(folder: Folder, *words: str) -> dict[str, dict[str, Any]]:
    rows = map(json.loads, folder.run("routes", "--json", *words).output.splitlines())
    return {row["route"]: row for row in rows}


def save(folder: Folder, **breaker: Any) -> None:
    folder.fill(lambda store: store.save_route_state(RouteState("bookshop", "export", **breaker)))


def test_routes_without_anything_pending_run(folder: Folder) -> None:
    rows = listed(folder)
    assert list(rows) == ["export", "alerts"]
    assert (rows["export"]["state"], rows["export"]["sink"], rows["export"]["pending"]) == ("running", "csv", 0)
    assert (rows["export"]["oldest_at"], rows["export"]["oldest_seconds"]) == (None, None)


def test_the_backlog_is_counted_and_its_age_is_shown(folder: Folder) -> None:
    folder.fill(fill)
    rows = listed(folder)
    assert {name: (row["pending"], row["due"]) for name, row in rows.items()} == {
        "export": (2, 1),
        "alerts": (1, 1),
        "gone": (1, 1),
    }
    assert rows["export"]["oldest_at"] == AT.isoformat()
    assert rows["export"]["oldest_seconds"] > 0
    assert (rows["gone"]["state"], rows["gone"]["sink"]) == ("not configured", None)
    assert "not configured" in folder.run("routes").output


def test_the_list_can_be_of_one_account(folder: Folder) -> None:
    config = folder.path / "gateway.yaml"
    config.write_text(
        f"{CONFIG}  posters:\n    keys: [test-key-of-the-posters]\n"
        "    routes: {mail: {sink: csv, options: {directory: x}}}\n"
    )
    assert list(listed(folder)) == ["export", "alerts", "mail"]
    assert list(listed(folder, "--account", "posters")) == ["mail"]


def test_a_disabled_route_is_off(folder: Folder) -> None:
    (folder.path / "gateway.yaml").write_text(
        CONFIG.replace("{sink: csv, signals", "{sink: csv, enabled: false, signals")
    )
    assert listed(folder)["alerts"]["state"] == "off"


@pytest.mark.parametrize(("failures", "state"), [(5, "failing"), (0, "misconfigured")])
def test_a_breakers_state_is_shown_with_its_reason_and_probe(folder: Folder, failures: int, state: str) -> None:
    save(folder, failures=failures, opened=1, probe_at=PROBE, reason="answered 500")
    row = listed(folder)["export"]
    assert (row["state"], row["reason"]) == (state, "answered 500")
    assert row["probe_at"] == views.iso(PROBE)
    table = folder.run("routes").output
    for words in (state, "answered 500", render.moment(PROBE)):
        assert words in table


def test_a_pause_lasts_until_resumed_and_is_shown_before_an_open_breaker(folder: Folder) -> None:
    folder.fill(fill)
    save(folder, failures=5, opened=1, probe_at=PROBE, reason="answered 500")
    said = folder.run("pause", "bookshop", "export", "--why", "new ERP").output
    assert said == "bookshop/export is paused; 2 pending deliveries will wait.\n"
    row = listed(folder)["export"]
    assert (row["state"], row["why"], row["reason"], row["probe_at"]) == ("paused", "new ERP", "answered 500", None)
    assert row["paused_at"]
    assert "new ERP; answered 500" in folder.run("routes").output
    said = folder.run("resume", "bookshop", "export").output
    assert said.startswith(
        "bookshop/export is resumed; 2 pending deliveries.\nIts target was failing before: answered 500."
    )
    row = listed(folder)["export"]
    assert (row["state"], row["why"], row["paused_at"]) == ("failing", "", None)
    assert folder.run("resume", "bookshop", "export").output.startswith("bookshop/export was not paused.\n")


def test_a_route_that_left_the_config_can_be_resumed(folder: Folder) -> None:
    folder.fill(fill)
    folder.run("pause", "bookshop", "gone")
    assert "is resumed; 1 pending delivery." in folder.run("resume", "bookshop", "gone").output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bokshop", "export"), "there is no account 'bokshop'; did you mean 'bookshop'?"),
        (("bookshop", "exprt"), "the account bookshop has no route 'exprt'; did you mean 'export'?"),
        (("bookshop", "zzz"), "the account bookshop has no route 'zzz'; known: export, alerts"),
    ],
)
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_pausing_an_unknown_route_is_an_error_that_suggests_a_known_one(
    folder: Folder, command: str, words: list[str], said: str
) -> None:
    assert folder.run(command, *words, code=1).output == f"{said}\n"
    assert listed(folder)["export"]["state"] == "running"


def test_a_pause_is_recorded_under_the_operators_name(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    folder.run("pause", "bookshop", "export", "--why", "new ERP")
    assert folder.rows("SELECT actor, action, detail FROM actions") == [
        ("ada", "pause", '{"account":"bookshop","route":"export","why":"new ERP"}')
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0 s"), (0, "0 s"), (59.4, "59 s"), (60, "1 min"), (7200, "2 h"), (86400 * 3, "3 d")]
)
def test_an_age_is_shown_in_its_largest_unit(seconds: float, text: str) -> None:
    assert render.age(seconds) == text


def test_sick_routes_come_first_and_dead_letters_are_counted(folder: Folder) -> None:
    names = ("well", "gone-mad", "down", "still", "with-dead", "off")
    routes = "".join(
        f"      {name}: {{sink: csv, enabled: {name != 'off'}, options: {{directory: e}}}}\n" for name in names
    )
    (folder.path / "gateway.yaml").write_text(CONFIG + routes)

    async def sicken(store: Store) -> None:
        await store.accept(
            make_signal(account="bookshop"), [Target("with-dead", None), Target("left", None)], [], False
        )
        claim = await store.claim([ClaimRequest("bookshop", "with-dead", 1)], NOW, NOW + 60)
        await store.record([Result(claim.deliveries[0], Dead("no such order"), None, NOW)], {})
        await store.save_route_state(RouteState("bookshop", "down", failures=5, opened=1, probe_at=NOW, reason="500"))
        await store.save_route_state(RouteState("bookshop", "gone-mad", opened=1, probe_at=NOW, reason="401"))
        await store.set_paused("bookshop", "still", True, NOW, "")

    folder.fill(sicken)
    rows = listed(folder, "--failing")
    assert [(name, row["state"], row["dead"]) for name, row in rows.items()] == [
        ("gone-mad", "misconfigured", 0),
        ("down", "failing", 0),
        ("still", "paused", 0),
        ("with-dead", "running", 1),
        ("left", "not configured", 0),
    ]
    assert list(listed(folder)) == [*rows, "export", "alerts", "well", "off"]


def test_no_route_is_failing(folder: Folder) -> None:
    assert folder.run("routes", "--failing").output == "No route is failing.\n"
    assert folder.run("routes", "--failing", "--json").output == ""
