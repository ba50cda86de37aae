"""The commands alerts and alerts acknowledge."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gateway.alerts import Condition
from gateway.model import Route
from gateway.store import Store
from gateway.store.values import Telling
from tests.contract.store_case import NOW
from tests.support.folder import Folder

LATE = Condition(
    "bookshop",
    "No ItemShipped 72 h after ItemProduced",
    watch="not-shipped",
    subject="2",
    order="1",
    order_reference="PO-1",
    item="2",
)
SICK = Condition("bookshop", "Route erp delivers nothing: 401", cause="route-misconfigured", subject="erp", route="erp")


async def raise_alerts(store: Store) -> None:
    routes = [Route("bookshop", "acme", "erp", "csv")]
    await store.raise_alerts([Telling(each, routes, ()) for each in (LATE, SICK)], NOW)


@pytest.fixture
def told(folder: Folder) -> Folder:
    """Return a folder whose store has two open alerts: 1 of a watch, 2 of a route."""
    folder.fill(raise_alerts)
    return folder


def listed(folder: Folder, *words: str) -> list[int]:
    return [json.loads(line)["id"] for line in folder.run("alerts", *words, "--json").stdout.splitlines()]


def test_open_alerts_are_listed_newest_first(told: Folder) -> None:
    output = told.run("alerts").stdout
    assert "not-shipped" in output
    assert output.index("route-misconfigured") < output.index("not-shipped")
    assert "No ItemShipped 72 h after ItemProduced" in output
    assert listed(told) == [2, 1]
    assert listed(told, "--limit", "1") == [2]


def test_no_alerts_are_said_plainly(folder: Folder) -> None:
    assert folder.run("alerts").stdout == "No alerts are open.\n"
    assert folder.run("alerts", "--state", "all").stdout == "No alerts.\n"


def test_an_alert_is_acknowledged_and_listed_so(told: Folder) -> None:
    first = told.run("alerts", "acknowledge", "1").stdout
    assert first == "Alert 1 is acknowledged: No ItemShipped 72 h after ItemProduced.\n"
    assert "Alert 1 was acknowledged by" in told.run("alerts", "acknowledge", "1").stdout
    assert listed(told, "--state", "acknowledged") == [1]
    assert listed(told, "--state", "raised") == [2]
    assert listed(told, "--state", "open") == [2, 1]
    assert listed(told, "--state", "cleared") == []
    (line,) = told.run("alerts", "acknowledge", "2", "--json").stdout.splitlines()
    assert json.loads(line)["state"] == "acknowledged"


def test_an_alert_that_is_not_there_is_an_error(told: Folder) -> None:
    assert (
        "there is no alert 7: `cloudsignal alerts` lists them" in told.run("alerts", "acknowledge", "7", code=1).stderr
    )


def test_alerts_of_an_account_are_listed(told: Folder) -> None:
    async def raise_other(store: Store) -> None:
        await store.raise_alerts([Telling(replace(LATE, account="other"), (), ())], NOW)

    told.fill(raise_other)
    assert listed(told, "--account", "bookshop") == [2, 1]
    assert "bookshop" in told.run("alerts", "--account", "bookshp", code=1).stderr


def test_options_stand_behind_the_command(told: Folder) -> None:
    assert "give options behind the command" in told.run("alerts", "--json", "acknowledge", "1", code=2).stderr
