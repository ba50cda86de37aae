"""A Tryton sink on a fake Tryton."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudsignal_tryton import TrytonSink
from tests.support.fake_tryton import DATABASE, KEY, PASSWORD, USER, FakeTryton
from tests.support.sink_page import read_page
from tests.unit.plugins.erp_case import ErpCase

PAGE = read_page("tryton")
BOTH = ("7.0", "8.0")
"""One series for each transport."""


class Case(ErpCase):
    """A case; its `tryton` holds the records."""

    sink_class = TrytonSink

    def __init__(self, series: str = "8.0", rights: bool = True, **options: Any) -> None:
        super().__init__(FakeTryton(series, rights), options)
        self.tryton = self.fake.tryton

    def default_options(self) -> Mapping[str, Any]:
        credentials = {"application_key": KEY, "user": USER, "password": PASSWORD}
        return {"url": self.fake.url, "database": DATABASE, **credentials}
