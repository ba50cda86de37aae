"""The watch for alerts: its rounds raise and clear, over restarts and with several gateways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.alerts import Condition
from gateway.config import Config, load_config
from gateway.errors import GatewayError, StoreError
from gateway.operate import alert_watch, conditions
from gateway.operate.alert_watch import BATCH, AlertWatch
from gateway.operate.alerts import AlertFilter, acknowledge_alert, list_alerts, make_telling
from gateway.operate.in_force import mark_key
from gateway.signal_types import GATEWAY_ALERT
from gateway.store import Settings, Store, open_store
from gateway.store.values import Filter, RouteState
from tests.support.factory import AT

pytestmark = pytest.mark.gen_test

NOW = AT.timestamp()
HOUR = 3600.0
REFUSED = RouteState("bookshop", "erp", reason="401: wrong password", opened=1)
FAILING = RouteState("bookshop", "erp", reason="503", failures=5, opened=1)
CONFIG = """\
plugins: [csv]
store: {url: "sqlite:///PATH/gateway.db"}
accounts:
  bookshop:
    keys: [a-key-for-the-bookshop]
    routes:
      erp: {sink: csv, options: {directory: erp}}
      export: {sink: csv, options: {directory: out}}
      orders: {sink: csv, signals: [ItemShipped], options: {directory: orders}}
      off: {sink: csv, enabled: false, options: {directory: off}}
"""


class Desk:
    """A store with a watch. `now` is the time; `woken` has the routes that were woken."""

    def __init__(self, store: Store, config: Config) -> None:
        self.store = store
        self.config = config
        self.now = NOW
        self.woken: list[str] = []
        self.watch = AlertWatch(store, lambda: self.config, lambda: self.now, self._wake, str)

    def _wake(self, account: str, routes: Iterable[str]) -> None:
        self.woken += [f"{account}/{route}" for route in routes]

    async def round(self, after: float = 0.0) -> list[str]:
        """Run a round later, and return the states of alerts told by it, with their causes."""
        self.now += after
        before = await self.told()
        await self.watch.run_round()
        return (await self.told())[len(before) :]

    async def told(self) -> list[str]:
        rows = await self.store.list_signals_after(Filter(type=GATEWAY_ALERT), 0, 10_000)
        return [f"{signal.payload['state']} {signal.payload['cause']}" for signal in rows]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Desk]:
    path = folder / "gateway.yaml"
    path.write_text(CONFIG.replace("PATH", str(folder)))
    config = load_config(path)
    store = open_store(Settings(config.store.url, actor="ann"))
    try:
        uses = {(account.name, mark_key(key)): NOW for account in config.accounts.values() for key in account.keys}
        await store.note_key_uses(uses)
        yield Desk(store, config)
    finally:
        await store.close()


async def test_a_sick_route_is_told_once_and_its_cure_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as desk:
        await desk.store.save_route_state(REFUSED)
        with capture_logs() as lines:
            assert await desk.round() == ["raised route-misconfigured"]
            assert await desk.round(20) == []
            await desk.store.save_route_state(RouteState("bookshop", "erp"))
            assert await desk.round(20) == ["cleared route-misconfigured"]
            assert await desk.round(20) == []
        assert [(line["event"], line["log_level"], line["about"]) for line in lines] == [
            ("alert.raised", "warning", "erp"),
            ("alert.cleared", "info", "erp"),
        ]


async def test_its_alert_goes_to_the_other_routes_that_want_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as desk:
        await desk.store.save_route_state(REFUSED)
        await desk.round()
        (row,) = await desk.store.list_signals(Filter(type=GATEWAY_ALERT), 10)
        rows = await desk.store.list_deliveries(Filter(ids=[row.signal.id]), 10)
        assert [delivery.route for delivery in rows] == ["export"]
        assert sorted(row.unrouted) == ["erp", "orders"]
        assert desk.woken == ["bookshop/export"]


async def test_a_restart_begins_no_new_hour_and_raises_nothing_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as desk:
        await desk.store.save_route_state(FAILING)
        assert await desk.round() == []
    async with opened(tmp_path) as desk:
        assert await desk.round(HOUR - 1) == []
        assert await desk.round(1) == ["raised route-failing"]
    async with opened(tmp_path) as desk:
        assert await desk.round(2 * HOUR) == []


async def test_a_short_failure_is_told_to_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as desk:
        await desk.store.save_route_state(FAILING)
        await desk.round()
        await desk.store.save_route_state(RouteState("bookshop", "erp"))
        assert await desk.round(2 * HOUR) == []
        await desk.store.save_route_state(FAILING)
        assert await desk.round(1) == []


async def test_an_account_that_leaves_takes_its_alerts_along(tmp_path: Path) -> None:
    async with opened(tmp_path) as desk:
        await desk.store.save_route_state(REFUSED)
        await desk.round()
        desk.config = replace(desk.config, accounts={})
        assert await desk.round(20) == ["cleared route-misconfigured"]


async def test_many_conditions_take_several_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [Condition("bookshop", "x", cause="dead-letters", subject=str(number)) for number in range(2 * BATCH + 1)]
    monkeypatch.setattr(alert_watch, "find_conditions", lambda *_: many)
    async with opened(tmp_path) as desk:
        assert len(await desk.round()) == len(many)
        many.clear()
        assert await desk.round() == ["cleared dead-letters"] * (2 * BATCH + 1)


async def test_cleared_alerts_are_purged_after_the_retention(tmp_path: Path) -> None:
    async with opened(tmp_path) as desk:
        await desk.store.save_route_state(REFUSED)
        await desk.round()
        await desk.store.save_route_state(RouteState("bookshop", "erp"))
        await desk.round()
        await desk.round(desk.config.retention)
        assert len(await list_alerts(desk.store, AlertFilter(), 10)) == 1
        await desk.round(alert_watch.PURGE_EVERY)
        assert await list_alerts(desk.store, AlertFilter(), 10) == []


async def test_of_two_gateways_one_does_the_rounds_until_its_lease_ends(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        first.store.shared = True
        second = Desk(first.store, first.config)
        await first.round()
        await first.store.save_route_state(REFUSED)
        assert await second.round() == []
        assert await first.round(20) == ["raised route-misconfigured"]
        await first.store.save_route_state(RouteState("bookshop", "erp"))
        assert await second.round(19 + alert_watch.LEASE) == []
        assert await second.round(1) == ["cleared route-misconfigured"]
        first.now = second.now
        await first.store.save_route_state(REFUSED)
        assert await first.round() == []


def test_each_minute_has_a_round_also_if_a_gateway_is_gone() -> None:
    assert alert_watch.ROUND_EVERY + alert_watch.LEASE <= 60
    assert alert_watch.ROUND_EVERY < alert_watch.LEASE


async def test_an_error_ends_a_round_and_not_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_watch, "FIRST_ROUND_AFTER", 0.0)
    monkeypatch.setattr(alert_watch, "ROUND_EVERY", 0.0)
    errors: list[Exception] = [StoreError("the disk is full"), ValueError("a bug")]
    done = asyncio.Event()

    async def run_round() -> None:
        if errors:
            raise errors.pop(0)
        done.set()

    async with opened(tmp_path) as desk:
        monkeypatch.setattr(desk.watch, "run_round", run_round)
        with capture_logs() as lines:
            watching = asyncio.create_task(desk.watch.watch())
            await done.wait()
            watching.cancel()
        assert [line["log_level"] for line in lines] == ["warning", "error"]


# -- for operators


async def test_an_alert_is_acknowledged_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as desk:
        await desk.store.save_route_state(REFUSED)
        await desk.round()
        (alert,) = await list_alerts(desk.store, AlertFilter(state="open"), 10)
        found, noted = await acknowledge_alert(desk.store, alert.id, NOW)
        assert (found.state, found.acknowledged_by, noted) == ("acknowledged", "ann", True)
        found, noted = await acknowledge_alert(desk.store, alert.id, NOW + 1)
        assert (found.acknowledged_at, noted) == (NOW, False)
        with pytest.raises(GatewayError, match="there is no alert 99"):
            await acknowledge_alert(desk.store, 99, NOW)


async def test_an_alert_of_an_account_that_is_gone_has_no_routes(tmp_path: Path) -> None:
    async with opened(tmp_path) as desk:
        told = make_telling(desk.config, Condition("gone", "x", cause=conditions.DEAD_LETTERS))
        assert (told.routes, told.unrouted) == ([], [])
