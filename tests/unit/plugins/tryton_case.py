"""A Tryton sink on a fake Tryton, with a clock that stands still."""

from __future__ import annotations

from typing import Any, Self

import voluptuous as vol

from cloudsignal_tryton import TrytonSink
from gateway.sink import Context
from tests.support import factory
from tests.support.fake_tryton import DATABASE, KEY, PASSWORD, USER, FakeTryton
from tests.support.sink_case import SinkCase

NOW = factory.AT.timestamp() + 60
BOTH = ("7.0", "8.0")
"""A series of each transport, with the differences between them."""


class Case(SinkCase):
    """`async with Case(series, **options) as case`: `case.tryton` has the records, `case.sink` the sink."""

    def __init__(self, series: str = "8.0", rights: bool = True, **options: Any) -> None:
        self.fake = FakeTryton(series, rights)
        self.tryton = self.fake.tryton
        self.options = options
        self.now = NOW

    async def __aenter__(self) -> Self:
        url = self.fake.start()
        given = {
            "url": url,
            "database": DATABASE,
            "application_key": KEY,
            "user": USER,
            "password": PASSWORD,
            **self.options,
        }
        options = vol.Schema(dict(TrytonSink.options))({k: v for k, v in given.items() if v is not None})
        context = Context(account="bookshop", tenant="acme", route="erp", now=lambda: self.now)
        self.sink = TrytonSink(options, context)
        await self.sink.open()
        return self

    async def deliver(self, type: str, **fields: Any) -> None:
        """Deliver a signal of that type about order PO-1001, line 1, unless `fields` say otherwise."""
        await self.sink.deliver(factory.make_delivery(type, **fields))
