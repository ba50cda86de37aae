"""The Tryton sink passes the conformance kit over each transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from cloudsignal_tryton import TrytonSink
from gateway.testing import Answer, HttpSinkContract, HttpTarget
from tests.support.fake_tryton import DATABASE, KEY, PASSWORD, USER, FakeTryton, page


class Tryton(HttpTarget):
    busy_answer = page(503, "Service Unavailable")
    rejection = Answer(400, {"status": 400, "message": "This can't be done.", "description": ""})
    refusal = page(401, "Unauthorized")

    def __init__(self, series: str, options: Mapping[str, Any]) -> None:
        self.fake = FakeTryton(series)
        self.fake.tryton.sell("PO-1001", ("BOOK", 2), ("POSTER", 1))
        self.extra = options
        super().__init__(self.fake)

    def options(self) -> Mapping[str, Any]:
        given = {"url": self.url, "database": DATABASE, "application_key": KEY, "user": USER, "password": PASSWORD}
        return {**given, **self.extra}

    def effects(self) -> Sequence[Any]:
        return [self.fake.tryton.snapshot()]


class TestTryton8(HttpSinkContract):
    sink = TrytonSink
    series: ClassVar[str] = "8.0"
    extra: ClassVar[Mapping[str, Any]] = {}

    def make_target(self, folder: Path) -> HttpTarget:
        return Tryton(self.series, self.extra)


class TestTryton7(TestTryton8):
    series = "7.0"


class TestTrytonThatShips(TestTryton8):
    extra = {"mark_delivered": "line", "on_cancel": "cancel"}
