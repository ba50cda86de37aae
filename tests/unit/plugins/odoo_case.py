"""An Odoo sink on a fake Odoo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudsignal_odoo import OdooSink
from tests.support.fake_odoo import DATABASE, KEY, LOGIN, FakeOdoo
from tests.support.sink_page import read_page
from tests.unit.plugins.erp_case import ErpCase

PAGE = read_page("odoo")
BOTH = (17, 19)
"""One version for each transport."""
CANCELLING = ("inventory", "sales")
"""The groups that `on_cancel: cancel` needs on 19."""


class Case(ErpCase):
    """A case; its `odoo` holds the records."""

    sink_class = OdooSink

    def __init__(self, version: int = 19, groups: tuple[str, ...] = ("inventory",), **options: Any) -> None:
        super().__init__(FakeOdoo(version, groups=groups), options)
        self.odoo = self.fake.odoo

    def default_options(self) -> Mapping[str, Any]:
        return {"url": self.fake.url, "database": DATABASE, "api_key": KEY, "login": LOGIN}

    def tracking(self, order: int) -> list[str | bool]:
        """Return the tracking numbers of each of the order's transfers."""
        return [transfer["carrier_tracking_ref"] for transfer in self.odoo.transfers(order)]

    def states(self, order: int) -> list[str]:
        """Return the states of the order's moves."""
        return [move["state"] for move in self.odoo.moves(order)]
