"""Asks Odoo if the route could deliver: version, identity, rights, fields, the key's expiry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from cloudsignal_odoo.answers import version_number
from cloudsignal_odoo.client import Client, Json2
from cloudsignal_odoo.options import Settings
from gateway.sink import Check, Misconfigured, Permanent, SinkError, Unanswered, hint_at_url

FIRST_VERSION_WITH_KEY_EXPIRY = 18
FIRST_VERSION_WITH_CANCEL_GROUP = 19
CANCEL_GROUP = "sales_team.group_sale_salesman_all_leads"
"""The group "Sales/User: All Documents", which Odoo 19 requires for a cancellation."""
DATABASE = "database and transport"
KEY_EXPIRY_WARNING_DAYS = 14
"""Days before a key expires in which the check asks to renew it."""


class Preflight:
    """Collects a line for each thing checked. `problems` are the lines that would stop the route from delivering."""

    def __init__(self, client: Client, settings: Settings, now: Callable[[], float]) -> None:
        self.client = client
        self.settings = settings
        self.now = now
        self.details: list[str] = []
        self.problems: list[str] = []
        self.by_json2 = False

    async def run(self) -> Check:
        """Return the result. A target's error is not raised: it is the last line of a Check that is not ok."""
        hint: Callable[[SinkError], str] = hint_at_url
        try:
            version = await self.check_version()
            hint = self.hint_at_credentials
            user = await self.check_identity()
            hint = str
            await self.check_rights(version)
            await self.check_cancelling(version, user)
            await self.check_fields("sale.order", self.settings.order_match, "order_match names no field of sale.order")
            await self.check_fields(
                "stock.picking", ["carrier_tracking_ref"], "install Odoo's Delivery Costs module (delivery)"
            )
            await self.check_user()
            if version >= FIRST_VERSION_WITH_KEY_EXPIRY:
                await self.check_key_expiry(user)
        except SinkError as error:
            self.problems.append(hint(error))
        return Check(not self.problems, (*self.details, *self.problems))

    async def check_version(self) -> int:
        """Return the version's number."""
        version = await self.client.version()
        transport = await self.client.transport()
        self.by_json2 = isinstance(transport, Json2)
        self.details.append(f"Odoo {version} by {transport.name}")
        return version_number(version)

    async def check_identity(self) -> int:
        """Return the id of the API key's user."""
        user = await (await self.client.transport()).user_id()
        rows = await self.client.call("res.users", "read", [user], fields=["login"])
        self.details.append(f"the key belongs to {rows[0]['login']} (user {user})")
        return user

    def hint_at_credentials(self, error: SinkError) -> str:
        """Return the error of the first call with credentials, and the options that may be wrong."""
        text = str(error)
        if isinstance(error, Unanswered) or "option" in text:
            return text
        if not isinstance(error, Misconfigured):
            return f"{text} (option database)" if self.settings.transport == "auto" else f"{text} (options {DATABASE})"
        return f"{text} (option api_key)" if self.by_json2 else f"{text} (options login and api_key)"

    async def check_rights(self, version: int) -> None:
        """Check rights on models. Record rules show only when a record is used."""
        missing = [
            f"{operation} {model}"
            for model, operation in self.rights()
            if not await self.may(version, model, operation)
        ]
        if missing:
            self.problems.append(f"the user lacks rights ({', '.join(missing)}): give it Inventory/User")
        else:
            self.details.append(f"rights: {self.describe_actions()}")

    def rights(self) -> list[tuple[str, str]]:
        """Return the models and operations that the options need."""
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

    def describe_actions(self) -> str:
        """Return the route's actions in a few words."""
        marking = ["validation"] if self.settings.mark_delivered != "none" else []
        return ", ".join(["orders", "notes", "tracking", *marking])

    async def check_cancelling(self, version: int, user: int) -> None:
        """Check that the user may cancel orders. On Odoo 17 and 18, Inventory/User is enough."""
        if self.settings.on_cancel != "cancel" or version < FIRST_VERSION_WITH_CANCEL_GROUP:
            return
        try:
            allowed = await self.client.call("res.users", "has_group", [user], group_ext_id=CANCEL_GROUP)
        except Permanent:
            self.details.append(
                "on_cancel: cancel needs Sales/User: All Documents; this Odoo does not say if the user has it"
            )
            return
        if allowed:
            self.details.append("rights: cancellation")
        else:
            self.problems.append("the user lacks the right to cancel orders: give it Sales/User: All Documents")

    async def may(self, version: int, model: str, operation: str) -> bool:
        """Return True if the user has the right to the operation on the model."""
        if version >= 18:
            return bool(await self.client.call(model, "has_access", [], operation=operation))
        return bool(await self.client.call(model, "check_access_rights", operation=operation, raise_exception=False))

    async def check_fields(self, model: str, names: Iterable[str], advice: str) -> None:
        """Check that the model has the fields."""
        wanted = list(names)
        found = await self.client.call(model, "fields_get", allfields=wanted, attributes=["type"])
        if missing := [name for name in wanted if name not in found]:
            self.problems.append(f"{model} has no {', '.join(missing)}: {advice}")
        else:
            self.details.append(f"{model} has {', '.join(wanted)}")

    async def check_user(self) -> None:
        """Check that the user in activity_user exists."""
        if (user := self.settings.activity_user) is None:
            return
        rows = await self.client.call("res.users", "search_read", domain=[["id", "=", user]], fields=["login"], limit=1)
        if not rows:
            self.problems.append(f"activity_user: there is no active user {user}")

    async def check_key_expiry(self, user: int) -> None:
        """Say when a key of the user expires. An unreadable date is no problem."""
        try:
            rows = await self.client.call(
                "res.users.apikeys", "search_read", domain=[["user_id", "=", user]], fields=["expiration_date"]
            )
        except (Permanent, Misconfigured):
            self.details.append("the expiry of the API key can't be read")
            return
        now = datetime.fromtimestamp(self.now(), UTC)
        ends = [read_time(row["expiration_date"]) for row in rows if row["expiration_date"]]
        # The user's keys can't be told apart, but the one in use has not expired.
        if ends := sorted(end for end in ends if end > now):
            self.details.append(describe_end(ends[0], now))
        elif rows:
            self.details.append("the user's API key does not expire")


def read_time(text: str) -> datetime:
    """Parse `YYYY-MM-DD HH:MM:SS` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def describe_end(end: datetime, now: datetime) -> str:
    """Return the words for a key's expiry."""
    days = (end - now).days
    soon = ": renew it now" if days < KEY_EXPIRY_WARNING_DAYS else ""
    return f"the first of the user's API keys expires on {end.date()}, in {days} days{soon}"
