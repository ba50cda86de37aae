"""Asks Odoo whether the route could deliver: version, identity, rights, fields, the key's end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from cloudsignal_odoo.client import Client, version_number
from cloudsignal_odoo.options import Settings
from gateway.sink import Check, Misconfigured, Permanent, SinkError

FIRST_VERSION_WITH_KEY_EXPIRY = 18
FIRST_VERSION_WITH_CANCEL_GROUP = 19
CANCEL_GROUP = "sales_team.group_sale_salesman_all_leads"
"""Sales/User: All Documents."""
KEY_EXPIRY_WARNING_DAYS = 14
"""Days before its end in which a key is spoken of as ending soon."""


class Preflight:
    """Collects a line for each thing looked at; `problems` are those that would keep the route from delivering."""

    def __init__(self, client: Client, settings: Settings, now: Callable[[], float]) -> None:
        self.client = client
        self.settings = settings
        self.now = now
        self.details: list[str] = []
        self.problems: list[str] = []

    async def run(self) -> Check:
        """Never raises what the target does: that becomes the last line of a Check that is not ok."""
        try:
            version = await self.check_version()
            user = await self.check_identity()
            await self.check_rights(version)
            await self.check_cancelling(version, user)
            await self.check_fields("sale.order", self.settings.order_match, "order_match names no field of sale.order")
            await self.check_fields(
                "stock.picking", ["carrier_tracking_ref"], "install Odoo's Delivery Costs module (delivery)"
            )
            await self.check_user()
            if version >= FIRST_VERSION_WITH_KEY_EXPIRY:
                await self.check_key_end(user)
        except SinkError as error:
            self.problems.append(str(error))
        return Check(not self.problems, (*self.details, *self.problems))

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
            self.problems.append(f"the user lacks the right to {', '.join(missing)}: give it Inventory/User")
        else:
            self.details.append(f"rights: {self.acts()}")

    def rights(self) -> list[tuple[str, str]]:
        needed = [
            ("sale.order", "read"),
            ("sale.order", "write"),
            ("stock.picking", "read"),
            ("stock.picking", "write"),
            ("stock.move", "read"),
        ]
        if self.settings.line_match == "default_code":
            needed += [("sale.order.line", "read"), ("product.product", "read")]
        if self.settings.mark_delivered != "none":
            needed.append(("stock.move", "write"))
        return needed

    def acts(self) -> str:
        """What the route does, in a few words."""
        marking = ["validation"] if self.settings.mark_delivered != "none" else []
        return ", ".join(["orders", "notes", "tracking", *marking])

    async def check_cancelling(self, version: int, user: int) -> None:
        """That the user may cancel orders. On 17 and 18 Inventory/User is enough."""
        if self.settings.on_cancel != "cancel" or version < FIRST_VERSION_WITH_CANCEL_GROUP:
            return
        try:
            allowed = await self.client.call("res.users", "has_group", [user], group_ext_id=CANCEL_GROUP)
        except Permanent:
            self.details.append("on_cancel: cancel needs Sales/User: All Documents, which this Odoo does not tell")
            return
        if allowed:
            self.details.append("rights: cancellation")
        else:
            self.problems.append("the user lacks the right to cancel orders: give it Sales/User: All Documents")

    async def may(self, version: int, model: str, operation: str) -> bool:
        if version >= 18:
            return bool(await self.client.call(model, "has_access", [], operation=operation))
        return bool(await self.client.call(model, "check_access_rights", operation=operation, raise_exception=False))

    async def check_fields(self, model: str, names: Iterable[str], advice: str) -> None:
        wanted = list(names)
        found = await self.client.call(model, "fields_get", allfields=wanted, attributes=["type"])
        if missing := [name for name in wanted if name not in found]:
            self.problems.append(f"{model} has no {', '.join(missing)}: {advice}")
        else:
            self.details.append(f"{model} has {', '.join(wanted)}")

    async def check_user(self) -> None:
        """That the fixed assignee exists."""
        if (user := self.settings.activity_user) is None:
            return
        rows = await self.client.call("res.users", "search_read", domain=[["id", "=", user]], fields=["login"], limit=1)
        if not rows:
            self.problems.append(f"activity_user: there is no active user {user}")

    async def check_key_end(self, user: int) -> None:
        """When a key ends; where that can't be read, it is told and no fault."""
        try:
            rows = await self.client.call(
                "res.users.apikeys", "search_read", domain=[["user_id", "=", user]], fields=["expiration_date"]
            )
        except (Permanent, Misconfigured):
            self.details.append("the key's end can't be read")
            return
        now = datetime.fromtimestamp(self.now(), UTC)
        ends = [read_time(row["expiration_date"]) for row in rows if row["expiration_date"]]
        # Which of the user's keys this is can't be told, but that it is still good.
        if ends := sorted(end for end in ends if end > now):
            self.details.append(describe_end(ends[0], now))
        elif rows:
            self.details.append("the user's API key has no end")


def read_time(text: str) -> datetime:
    """From `YYYY-MM-DD HH:MM:SS` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def describe_end(end: datetime, now: datetime) -> str:
    days = (end - now).days
    soon = ": renew it now" if days < KEY_EXPIRY_WARNING_DAYS else ""
    return f"the first of the user's API keys ends on {end.date()}, in {days} days{soon}"
