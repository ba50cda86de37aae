"""An Odoo sink on a fake Odoo, with a clock that stands still."""

from __future__ import annotations

from typing import Any, Self

import voluptuous as vol

from cloudsignal_odoo import OdooSink
from gateway.sink import Context
from tests.support import factory
from tests.support.fake_odoo import DATABASE, KEY, LOGIN, FakeOdoo
from tests.support.sink_case import SinkCase
from tests.support.sink_page import read_page

PAGE = read_page("odoo")
NOW = factory.AT.timestamp() + 60
BOTH = (17, 19)
CANCELLING = ("inventory", "sales")
"""The groups that on_cancel: cancel needs on 19."""
"""A version of each transport, with the differences between them."""


class Case(SinkCase):
    """`async with Case(version, **options) as case`: `case.odoo` has the records, `case.sink` the sink."""

    def __init__(self, version: int = 19, groups: tuple[str, ...] = ("inventory",), **options: Any) -> None:
        self.fake = FakeOdoo(version, groups=groups)
        self.odoo = self.fake.odoo
        self.options = options
        self.now = NOW

    async def __aenter__(self) -> Self:
        url = self.fake.start()
        given = {"url": url, "database": DATABASE, "api_key": KEY, "login": LOGIN, **self.options}
        options = vol.Schema(dict(OdooSink.options))({k: v for k, v in given.items() if v is not None})
        context = Context(account="bookshop", tenant="acme", route="erp", now=lambda: self.now)
        self.sink = OdooSink(options, context)
        await self.sink.open()
        return self

    async def deliver(self, type: str, **fields: Any) -> None:
        """Deliver a signal of that type about order PO-1001, line 1, unless `fields` say otherwise."""
        await self.sink.deliver(factory.make_delivery(type, **fields))

    def tracking(self, order: int) -> list[str | bool]:
        return [transfer["carrier_tracking_ref"] for transfer in self.odoo.transfers(order)]

    def states(self, order: int) -> list[str]:
        return [move["state"] for move in self.odoo.moves(order)]
