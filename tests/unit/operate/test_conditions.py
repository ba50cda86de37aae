"""The gateway's own conditions: each cause, and that none is found where all is well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.alerts import Alert, Condition
from gateway.config import Config, load_config
from gateway.model import Account, Route
from gateway.operate import conditions
from gateway.operate.conditions import CAUSES, Facts, find_conditions, free_space
from gateway.operate.in_force import mark_key
from gateway.store.values import RouteState
from tests.support.pages import ROOT, rows

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
ERP = ("bookshop", "erp")
CONFIG = """\
plugins: [csv]
tenant: acme
routes:
  export: {sink: csv, options: {directory: out}}
accounts:
  bookshop:
    keys: [{key: a-key-for-the-bookshop, label: main}]
    routes: {erp: {sink: csv, signals: [ItemShipped], options: {directory: erp}}}
  other:
    keys: [{key: a-key-for-the-other-shop, label: main}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    return load_config(tmp_path / "gateway.yaml")


def find(config: Config, open_alerts: Sequence[Alert] = (), **facts: Any) -> list[Condition]:
    used = {(account.name, mark_key(key)) for account in config.accounts.values() for key in account.keys}
    well: dict[str, Any] = {"states": {}, "dead": {}, "key_uses": used, "free": (0.5, 2**40), "redact": str}
    known = {alert.condition.key: alert for alert in open_alerts}
    return [*find_conditions(Facts(config, **{**well, **facts}), known, NOW)]


def changed(config: Config, account: Account) -> Config:
    return replace(config, accounts={**config.accounts, account.name: account})


def test_where_all_is_well_nothing_is_found(config: Config) -> None:
    healthy = RouteState(*ERP, failures=2)
    assert find(config, states={ERP: healthy}, free=None) == []


def test_a_misconfigured_route_is_told_at_once(config: Config) -> None:
    (found,) = find(config, states={ERP: RouteState(*ERP, reason="401: wrong password", opened=1)})
    assert (found.cause, found.account, found.route, found.patience) == ("route-misconfigured", *ERP, 0.0)
    assert found.message == "Route erp delivers nothing: 401: wrong password"
    assert found.severity == "failure"


def test_a_failing_route_is_told_after_an_hour(config: Config) -> None:
    (found,) = find(config, states={ERP: RouteState(*ERP, reason="503", failures=5, opened=1)})
    assert (found.cause, found.route, found.patience) == ("route-failing", "erp", 3600.0)


def test_a_pause_by_people_ends_no_condition(config: Config) -> None:
    state = RouteState(*ERP, reason="503", failures=5, opened=1, paused=True, paused_at=NOW.timestamp())
    assert [found.cause for found in find(config, states={ERP: state})] == ["route-failing"]


def test_a_route_whose_plugin_is_broken_is_told_without_secrets(config: Config) -> None:
    bookshop = config.accounts["bookshop"]
    broken = replace(bookshop.routes["erp"], broken="no module named secret")
    config = changed(config, replace(bookshop, routes={**bookshop.routes, "erp": broken}))
    (found,) = find(config, redact=lambda text: text.replace("secret", "***"))
    assert (found.cause, found.message) == (
        "route-misconfigured",
        "Route erp delivers nothing: no module named ***",
    )


@pytest.mark.parametrize("route", [None, {"enabled": False}])
def test_a_route_that_is_off_or_gone_is_nobodys_concern(config: Config, route: dict[str, Any] | None) -> None:
    bookshop = config.accounts["bookshop"]
    routes: dict[str, Route] = {name: each for name, each in bookshop.routes.items() if name != "erp"}
    if route:
        routes["erp"] = replace(bookshop.routes["erp"], enabled=False)
    config = changed(config, replace(bookshop, routes=routes))
    assert find(config, states={ERP: RouteState(*ERP, reason="gone", opened=1)}, dead={ERP: 3}) == []


def test_dead_letters_are_told_of_their_route(config: Config) -> None:
    (found,) = find(config, dead={ERP: 3})
    assert (found.cause, found.route, found.message) == ("dead-letters", "erp", "Route erp has dead letters: 3 now")


@pytest.mark.parametrize(
    ("days", "message"),
    [
        (15, None),
        (13, "The key 'main' ends at 2026-12-07 08:00 UTC"),
        (-1, "The key 'main' ended at 2026-11-23 08:00 UTC"),
    ],
)
def test_a_key_that_ends_is_told_two_weeks_before(config: Config, days: int, message: str | None) -> None:
    bookshop = config.accounts["bookshop"]
    key = replace(bookshop.keys[0], expires=NOW + timedelta(days=days))
    found = find(changed(config, replace(bookshop, keys=(key,))))
    assert [(each.cause, each.message) for each in found] == ([("key-ends", message)] if message else [])


def test_a_key_that_was_never_used_is_told_after_a_day(config: Config) -> None:
    found = find(config, key_uses=set())
    assert {(each.cause, each.account, each.patience) for each in found} == {
        ("key-never-used", "bookshop", 86400.0),
        ("key-never-used", "other", 86400.0),
    }
    digests = [key.digest.hex() for account in config.accounts.values() for key in account.keys]
    assert not any(each.subject in digest for each in found for digest in digests)


def test_a_nearly_full_store_is_told_once_a_tenant(config: Config) -> None:
    (found,) = find(config, free=(0.01, 100 * 2**20))
    assert (found.cause, found.account) == ("store-nearly-full", "bookshop")
    assert found.message == "The store is nearly full: 100 MiB of its disk are free"


@pytest.mark.parametrize("free", [(0.01, 2**31), (0.5, 2**20)])
def test_a_big_disk_and_a_small_one_with_room_are_not_nearly_full(config: Config, free: tuple[float, int]) -> None:
    assert find(config, free=free) == []


def test_a_store_alert_stays_with_its_account_until_there_is_room(config: Config) -> None:
    bookshop = config.accounts["bookshop"]
    config = changed(config, replace(bookshop, routes={}))
    (found,) = find(config, free=(0.01, 100))
    assert found.account == "other"
    before = Alert(1, replace(found, account="bookshop"), since=0.0, raised_at=0.0)
    (again,) = find(config, [before], free=(0.06, 2**30 + 1))
    assert again.account == "bookshop"
    assert find(config, [before], free=(0.08, 2**31)) == []


def test_the_free_space_of_a_folder_is_read(tmp_path: Path) -> None:
    found = free_space(tmp_path)
    assert found is not None
    assert 0 < found[0] <= 1
    assert found[1] > 0
    assert free_space(tmp_path / "gone") is None


def test_the_page_has_each_cause() -> None:
    page = (ROOT / "config" / "README.md").read_text()
    assert {row[0].strip("`"): row[1] for row in rows(page, "cause")} == dict(CAUSES)
    assert conditions.FAILING_FOR == 3600
