"""The Odoo sink passes the conformance kit over each transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from cloudsignal_odoo import OdooSink
from gateway.testing import Answer, HttpSinkContract, HttpTarget, Request
from tests.support.fake_odoo import DATABASE, KEY, LOGIN, FakeOdoo, account, page
from tests.support.odoo_model import access_error, user_error


class Odoo(HttpTarget):
    def __init__(self, version: int, options: Mapping[str, Any]) -> None:
        self.fake = FakeOdoo(version, groups=("inventory", "sales"))
        self.fake.odoo.add_order("PO-1001", [2, 1])
        self.extra = options
        super().__init__(self.fake)

    busy_answer = page(503, "Service Unavailable")
    rejection = Answer(422, account(user_error("This can't be done.")))

    async def refusing_credentials(self) -> None:
        """Refuse each call in the form of its transport: JSON-RPC has errors with status 200."""
        refusal = access_error("You may not.")

        async def refuse(request: Request) -> Answer:
            if request.path == "/jsonrpc":
                error = {"code": 200, "message": "Odoo Server Error", "data": account(refusal)}
                return Answer(200, {"jsonrpc": "2.0", "id": request.json["id"], "error": error})
            return Answer(403, account(refusal))

        self.server.always = refuse

    def options(self) -> Mapping[str, Any]:
        return {"url": self.url, "database": DATABASE, "api_key": KEY, "login": LOGIN, **self.extra}

    def effects(self) -> Sequence[Any]:
        return [self.fake.odoo.snapshot()]


class TestOdoo19(HttpSinkContract):
    sink = OdooSink
    version: ClassVar[int] = 19
    extra: ClassVar[Mapping[str, Any]] = {}

    def make_target(self, folder: Path) -> HttpTarget:
        return Odoo(self.version, self.extra)


class TestOdoo17(TestOdoo19):
    version = 17


class TestOdooThatShips(TestOdoo19):
    extra = {"mark_delivered": "order", "on_cancel": "cancel"}
