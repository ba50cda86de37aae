"""Asks Odoo whether the route could deliver: version, identity, rights, fields, the key's end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from cloudsignal_odoo.client import Client, version_number
from cloudsignal_odoo.options import Settings
from gateway.sink import Check, Permanent, SinkError

SOON = 14
"""Days before its end in which a key is spoken of as ending soon."""


class Preflight:
    """Collects a line for each thing looked at; `faults` are those that would keep the route from delivering."""

    def __init__(self, client: Client, settings: Settings, now: Callable[[], float]) -> None:
        self.client = client
        self.settings = settings
        self.now = now
        self.details: list[str] = []
        self.faults: list[str] = []

    async def run(self) -> Check:
        """Never raises what the target does: that becomes the last line of a Check that is not ok."""
        try:
            version = await self.check_version()
            user = await self.check_identity()
            await self.check_rights(version)
            await self.check_fields("sale.order", self.settings.order_match, "order_match names no field of sale.order")
            await self.check_fields(
                "stock.picking", ["carrier_tracking_ref"], "install Odoo's Delivery Costs module (delivery)"
            )
            await self.check_user()
            await self.check_key_end(user)
        except SinkError as error:
            self.faults.append(str(error))
        return Check(not self.faults, (*self.details, *self.faults))

    async def check_version(self) -> int:
        version = await self.client.version()
        transport = await self.client.transport()
        self.details.append(f"Odoo {version} by {transport.name}")
        return version_number(version)

    async def check_identity(self) -> int:
        user = await (await self.client.transport()).user_id()
        rows = await self.client.call("res.users", "read", [user], fields=["login"])
        self.details.append(f"the key is {rows[0]['login']}'s (user {user})")
        return user

    async def check_rights(self, version: int) -> None:
        """Rights on models; record rules show only at the record."""
        missing = [
            f"{operation} {model}"
            for model, operation in self.rights()
            if not await self.may(version, model, operation)
        ]
        if missing:
            self.faults.append(f"the user lacks the right to {', '.join(missing)}: give it Inventory/User")
        else:
            self.details.append("rights: orders, notes, tracking" + self.extra_rights())

    def rights(self) -> list[tuple[str, str]]:
        needed = [
            ("sale.order", "read"),
            ("sale.order", "write"),
            ("stock.picking", "read"),
            ("stock.picking", "write"),
        ]
        marking = self.settings.mark_delivered != "none"
        return [*needed, ("stock.move", "read"), *([("stock.move", "write")] if marking else [])]

    def extra_rights(self) -> str:
        if self.settings.on_cancel != "cancel":
            return ""
        return "; on_cancel: cancel also needs Sales/User: All Documents on Odoo 19, which can't be asked"

    async def may(self, version: int, model: str, operation: str) -> bool:
        if version >= 18:
            return bool(await self.client.call(model, "has_access", [], operation=operation))
        return bool(await self.client.call(model, "check_access_rights", operation=operation, raise_exception=False))

    async def check_fields(self, model: str, names: Iterable[str], advice: str) -> None:
        wanted = list(names)
        found = await self.client.call(model, "fields_get", allfields=wanted, attributes=["type"])
        if missing := [name for name in wanted if name not in found]:
            self.faults.append(f"{model} has no {', '.join(missing)}: {advice}")
        else:
            self.details.append(f"{model} has {', '.join(wanted)}")

    async def check_user(self) -> None:
        """That the fixed assignee exists."""
        if (user := self.settings.activity_user) is None:
            return
        rows = await self.client.call("res.users", "search_read", domain=[["id", "=", user]], fields=["login"], limit=1)
        if not rows:
            self.faults.append(f"activity_user: there is no active user {user}")

    async def check_key_end(self, user: int) -> None:
        """Keys have an end from Odoo 18 on; where it can't be read, that is told and no fault."""
        try:
            rows = await self.client.call(
                "res.users.apikeys", "search_read", domain=[["user_id", "=", user]], fields=["expiration_date"]
            )
        except SinkError as error:
            if isinstance(error, Permanent):
                return
            self.details.append("the key's end can't be read")
            return
        ends = sorted(row["expiration_date"] for row in rows if row["expiration_date"])
        if ends:
            self.details.append(self.describe_end(ends[0]))

    def describe_end(self, text: str) -> str:
        """`text` is `YYYY-MM-DD HH:MM:SS` in UTC; whose keys are several, the first to end is told."""
        end = datetime.fromisoformat(text).replace(tzinfo=UTC)
        days = (end - datetime.fromtimestamp(self.now(), UTC)).days
        soon = ": renew it now" if days < SOON else ""
        return f"the first of the user's API keys ends on {end.date()}, in {days} days{soon}"
