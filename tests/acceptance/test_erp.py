"""A gateway with an Odoo and a Tryton route: maintenance by a proxy, twins, quotations, and orders of other shops."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support import fake_tryton
from tests.support.fake_odoo import DATABASE, FakeOdoo
from tests.support.fake_tryton import FakeTryton
from tests.support.foreign_answers import foreign_answer
from tests.support.payloads import KEY, example, request
from tests.support.process import Gateway, run_cli

CONFIG = """\
server: {{listen: "127.0.0.1:0"}}
store: {{url: "sqlite:///gateway.db"}}
plugins: [odoo, tryton]
tenant: acme
accounts:
  bookshop:
    keys: [{key}]
    unknown_orders: {orders}
    routes:
      odoo:
        sink: odoo
        options: {{url: "{odoo}", database: {database}, api_key: {odoo_key}, {wait}}}
        retry: {{first: 0.1s, cap: 0.5s}}
      tryton:
        sink: tryton
        options: {{url: "{tryton}", database: {database}, application_key: {tryton_key}, {wait}}}
        retry: {{first: 0.1s, cap: 0.5s}}
"""


class Shop:
    """A gateway whose signals go to both ERPs. `order` makes an order in both."""

    def __init__(self, folder: Path, wait: str, orders: str = "accept") -> None:
        self.folder = folder
        self.odoo, self.tryton = FakeOdoo(), FakeTryton()
        self.gateway = Gateway(folder)
        keys = {"key": KEY, "odoo_key": self.odoo.key, "tryton_key": fake_tryton.KEY}
        urls = {"odoo": self.odoo.start(), "tryton": self.tryton.start()}
        assert fake_tryton.DATABASE == DATABASE
        text = CONFIG.format(**keys, **urls, database=DATABASE, wait=wait, orders=orders)
        (folder / "gateway.yaml").write_text(text)

    async def __aenter__(self) -> Shop:
        await asyncio.to_thread(self.gateway.start)
        return self

    async def __aexit__(self, *error: object) -> None:
        code = await asyncio.to_thread(self.gateway.terminate)
        await self.odoo.stop()
        await self.tryton.stop()
        assert code == 0

    def order(self, reference: str, alive: bool = True) -> tuple[int, int]:
        return (
            self.odoo.odoo.add_order(reference, state="sale" if alive else "cancel"),
            self.tryton.tryton.sell(reference, ("BOOK", 1), state="processing" if alive else "cancelled"),
        )

    def notes(self, orders: tuple[int, int]) -> tuple[int, int]:
        return len(self.odoo.odoo.notes(orders[0])), len(self.tryton.tryton.notes(orders[1]))

    async def ship(self, reference: str, **fields: Any) -> None:
        payload = {**example("ItemShipped"), "order": reference, "order_reference": reference, **fields}
        await asyncio.to_thread(self.post, payload)

    def post(self, payload: Mapping[str, Any]) -> None:
        url = f"{self.gateway.url}/signals/bookshop"
        with urllib.request.urlopen(url, request(payload), timeout=30) as answer:
            assert answer.status in (200, 204)

    async def run(self, *words: str) -> str:
        done = await asyncio.to_thread(run_cli, *words, "--config", "gateway.yaml", cwd=self.folder)
        return done.stdout

    async def deliveries(self, state: str) -> list[Any]:
        return [orjson.loads(line) for line in (await self.run("deliveries", "--state", state, "--json")).splitlines()]

    async def settled(self, **expected: int) -> None:
        """Wait until nothing is pending, and compare the numbers of deliveries by state."""
        async with asyncio.timeout(60):
            while await self.deliveries("pending"):
                await asyncio.sleep(0.3)
        for state, number in expected.items():
            assert len(await self.deliveries(state)) == number

    async def settled_but_held(self, *held: str) -> None:
        """Wait until only deliveries of these orders are pending, and held."""
        async with asyncio.timeout(60):
            while {each["order"] for each in await self.deliveries("pending")} != set(held):
                await asyncio.sleep(0.3)
        assert all(each["held"] for each in await self.deliveries("pending"))


@pytest.mark.gen_test
async def test_signals_wait_while_a_proxy_shows_its_maintenance_page(tmp_path: Path) -> None:
    async with Shop(tmp_path, "notes: []") as shop:
        orders = [shop.order(f"PO-{number}") for number in range(6)]
        await shop.ship("PO-0")
        await shop.settled(delivered=2)
        shop.odoo.always = shop.tryton.always = foreign_answer(405, "nginx")
        for number in range(1, 6):
            await shop.ship(f"PO-{number}")
        for erp in ("Odoo", "Tryton"):
            await asyncio.to_thread(shop.gateway.wait_for_log, f"answered 405 with a page, not in {erp}'s form")
        assert await shop.deliveries("dead") == []
        checked = await shop.run("check", "--connect")
        assert "FAIL bookshop/odoo (odoo)\n       version: answered 405 with a page, not in Odoo's form" in checked
        assert "FAIL bookshop/tryton (tryton)\n" in checked
        assert "misconfigured" not in await shop.run("routes")
        shop.odoo.always = shop.tryton.always = None
        await shop.settled(delivered=12, dead=0)
        assert [shop.notes(each) for each in orders] == [(1, 1)] * 6


@pytest.mark.gen_test
async def test_a_twin_a_quotation_and_an_order_of_another_shop(tmp_path: Path) -> None:
    async with Shop(tmp_path, "unknown_order_retry_for: 12s, on_unknown: skip") as shop:
        dead, alive = shop.order("PO-1", alive=False), shop.order("PO-1")
        quotation = shop.order("PO-2")
        shop.odoo.odoo.row("sale.order", quotation[0])["state"] = "sent"
        shop.tryton.tryton.row("sale.sale", quotation[1])["state"] = "quotation"
        pages = [f"https://t.example/p?nr=1,2&x={number}" for number in (3, 4)]
        for page in pages:
            await shop.ship("PO-1", tracking=page)
        await shop.ship("PO-2")
        await asyncio.to_thread(shop.gateway.wait_for_log, "is a quotation; it is not confirmed yet")
        shop.odoo.odoo.row("sale.order", quotation[0])["state"] = "sale"
        shop.tryton.tryton.row("sale.sale", quotation[1])["state"] = "processing"
        await shop.ship("PO-OF-ANOTHER-SHOP")
        await shop.settled(delivered=6, filtered=2, dead=0)
        assert [shop.notes(each) for each in (dead, alive, quotation)] == [(0, 0), (2, 2), (1, 1)]
        field = shop.odoo.odoo.transfers(alive[0])[0]["carrier_tracking_ref"]
        assert field == shop.tryton.tryton.shipments(alive[1])[0]["shipping_reference"] == ", ".join(pages)


@pytest.mark.gen_test
async def test_a_held_signal_is_delivered_once_an_erp_has_its_order(tmp_path: Path) -> None:
    async with Shop(tmp_path, "notes: []", orders="hold") as shop:
        orders = shop.order("PO-1")
        await shop.ship("PO-1")
        await shop.ship("PO-OF-ANOTHER-SHOP")
        await shop.settled_but_held("PO-OF-ANOTHER-SHOP")
        assert shop.notes(orders) == (1, 1)
        await asyncio.to_thread(shop.gateway.wait_for_log, '"event":"order.known"')
