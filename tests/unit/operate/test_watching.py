"""Watches on a store: late orders and silent accounts are found, told once, and over when the signal comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway import signal_types as types
from gateway.config import Config, load_config
from gateway.operate import watching
from gateway.operate.alert_watch import AlertWatch
from gateway.operate.in_force import mark_key
from gateway.signal_types import GATEWAY_ALERT
from gateway.store import Settings, Store, open_store
from gateway.store.values import Filter
from tests.support.factory import make_signal

pytestmark = pytest.mark.gen_test

HOUR = 3600.0
START = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
CONFIG = """\
store: {url: "sqlite:///PATH/gateway.db"}
watches:
  not-produced: {after: CloudprinterOrderValidated, expect: ItemProduce, within: 48h}
  not-shipped: {after: ItemProduced, expect: ItemShipped, within: 72h}
  not-mended: {after: ItemError, expect: ItemProduced}
  quiet: {silent_for: 200h}
accounts:
  bookshop: {keys: [a-key-for-the-bookshop]}
  other: {keys: [a-key-for-the-other-shop], watches: {quiet: {silent_for: auto}}}
"""


class Shop:
    """A store with a gateway's rounds. `now` is the time, in hours since the start."""

    def __init__(self, store: Store, config: Config) -> None:
        self.store = store
        self.config = config
        self.now = 0.0
        self.restart()

    def restart(self) -> None:
        """Begin a new gateway on the store."""
        self.watch = AlertWatch(self.store, lambda: self.config, lambda: START + self.now * HOUR, _wake, str)

    async def send(self, type: str, account: str = "bookshop", item: str | None = "2", **fields: Any) -> None:
        """Let a signal happen and arrive now."""
        moment = datetime.fromtimestamp(START + self.now * HOUR, UTC)
        made = make_signal(type, account=account, order="1", item=item, datetime=moment.isoformat(), id=0, **fields)
        await self.store.accept(replace(made, received_at=moment), (), (), False)

    async def told_at(self, hours: float, follow: bool = True) -> list[str]:
        """Run a round at this time, and return the alerts told by it."""
        self.now = hours
        before = await self.told()
        while follow and (await self.store.follow_orders("a", START + hours * HOUR, START + hours * HOUR, 100)).added:
            pass
        await self.watch.run_round()
        return (await self.told())[len(before) :]

    async def told(self) -> list[str]:
        rows = await self.store.list_signals_after(Filter(type=GATEWAY_ALERT), 0, 10_000)
        return [f"{row.account} {row.payload['watch']} {row.payload['state']}" for row in rows]


def _wake(account: str, routes: object) -> None:
    pass


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Shop]:
    (folder / "gateway.yaml").write_text(CONFIG.replace("PATH", str(folder)))
    config = load_config(folder / "gateway.yaml")
    store = open_store(Settings(config.store.url))
    try:
        uses = {(account.name, mark_key(key)): START for account in config.accounts.values() for key in account.keys}
        await store.note_key_uses(uses)
        yield Shop(store, config)
    finally:
        await store.close()


async def test_a_late_item_is_told_once_and_cleared_once_when_it_ships(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        await shop.send(types.ITEM_PRODUCED)
        assert await shop.told_at(71) == []
        assert await shop.told_at(73) == ["bookshop not-shipped raised"]
        assert await shop.told_at(74) == []
        shop.restart()
        assert await shop.told_at(75) == []
        await shop.send(types.ITEM_SHIPPED, tracking="T", shipping_option="dhl")
        assert await shop.told_at(76) == ["bookshop not-shipped cleared"]
        assert await shop.told_at(77) == []
        (raised, cleared) = await shop.store.list_signals_after(Filter(type=GATEWAY_ALERT), 0, 10)
        assert (raised.order, raised.order_reference, raised.item) == ("1", "PO-1001", "2")
        assert cleared.payload["message"] == f"Cleared: {raised.payload['message']}"


async def test_a_late_order_is_told_of_the_whole_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        await shop.send(types.ORDER_VALIDATED, item=None)
        await shop.send(types.ITEM_VALIDATED)
        assert await shop.told_at(49) == ["bookshop not-produced raised"]
        await shop.send(types.ORDER_CANCELED, item=None, cause="CancelUserRequest", message="x")
        assert await shop.told_at(50) == ["bookshop not-produced cleared"]


async def test_a_print_error_has_its_own_deadline(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        await shop.send(types.ITEM_PRODUCE)
        shop.now = 1
        await shop.send(types.ITEM_ERROR, delay="24", cause="Paper jam")
        assert await shop.told_at(24) == []
        assert await shop.told_at(26) == ["bookshop not-mended raised"]
        await shop.send(types.ITEM_PRODUCED)
        assert await shop.told_at(27) == ["bookshop not-mended cleared"]


async def test_a_silent_account_is_told_and_cleared_by_its_next_signal(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        await shop.send(types.ITEM_CANCELED)
        assert await shop.told_at(199) == []
        assert await shop.told_at(201) == ["bookshop quiet raised"]
        assert await shop.told_at(300) == []
        await shop.send(types.ITEM_CANCELED, cause="again")
        assert await shop.told_at(301) == ["bookshop quiet cleared"]


async def test_an_alert_ends_no_silence(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        await shop.send(types.ITEM_PRODUCED)
        assert await shop.told_at(100) == ["bookshop not-shipped raised"]
        assert await shop.told_at(201) == ["bookshop quiet raised"]
        assert await shop.told_at(202) == []


async def test_after_a_start_nobody_is_called_silent_anew_for_two_hours(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        await shop.send(types.ITEM_CANCELED)
        await shop.told_at(1)
        shop.now = 300
        shop.restart()
        assert await shop.told_at(301.9) == []
        assert await shop.told_at(302) == ["bookshop quiet raised"]
        shop.restart()
        assert await shop.told_at(302.1) == []


async def test_a_rhythm_is_learned_from_the_accounts_own_past(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        for day in range(20):
            shop.now = 24.0 * day
            await shop.send(types.ITEM_CANCELED, account="other", cause=f"day {day}")
        last = shop.now
        assert await shop.told_at(last + 47) == []
        assert await shop.told_at(last + 49) == ["other quiet raised"]


async def test_an_account_with_few_signals_has_no_rhythm_yet(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        await shop.send(types.ITEM_CANCELED, account="other")
        assert await shop.told_at(5000) == []


async def test_states_that_are_behind_make_nobody_late_and_clear_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        await shop.send(types.ITEM_PRODUCED)
        assert await shop.told_at(73) == ["bookshop not-shipped raised"]
        await shop.send(types.ITEM_SHIPPED, tracking="T", shipping_option="dhl")
        await shop.send(types.ITEM_PRODUCED, item="3")
        assert await shop.told_at(200, follow=False) == []
        assert await shop.told_at(201) == ["bookshop not-shipped raised", "bookshop not-shipped cleared"]


async def test_a_watch_that_is_taken_away_clears_its_alerts(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        await shop.send(types.ITEM_PRODUCED)
        await shop.told_at(73)
        bookshop = replace(shop.config.accounts["bookshop"], watches={})
        shop.config = replace(shop.config, accounts={**shop.config.accounts, "bookshop": bookshop})
        assert await shop.told_at(74) == ["bookshop not-shipped cleared"]


async def test_accounts_are_asked_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "ACCOUNTS_PER_QUERY", 1)
    async with opened(tmp_path) as shop:
        await shop.send(types.ITEM_PRODUCED)
        await shop.send(types.ITEM_PRODUCED, account="other")
        assert sorted(await shop.told_at(73)) == ["bookshop not-shipped raised", "other not-shipped raised"]
