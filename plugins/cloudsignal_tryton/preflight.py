"""Asks Tryton if the route could deliver: version, identity, rights, fields, modules."""

from __future__ import annotations

from collections.abc import Callable

from cloudsignal_tryton.client import Client, Rest
from cloudsignal_tryton.faults import ServerError
from cloudsignal_tryton.options import Settings
from cloudsignal_tryton.orders import DROP, OUT
from gateway.sink import Check, Misconfigured, SinkError, Unanswered, hint_at_url

TRACKING_MODULE, DROP_MODULE = "stock_package_shipping", "sale_supply_drop_shipment"
DATABASE = "database and transport"
FORCE_GROUP = "Stock Force Assignment"


class Preflight:
    """Collects a line for each thing checked. `problems` are the lines that would stop the route from delivering."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        self.details: list[str] = []
        self.problems: list[str] = []
        self.by_rest = False

    async def run(self) -> Check:
        """Return the result. A target's error is not raised: it is the last line of a Check that is not ok."""
        hint: Callable[[SinkError], str] = hint_at_url
        try:
            self.settings.require_credentials()
            await self.check_version()
            hint = self.hint_at_credentials
            await self.check_identity()
            hint = str
            drops = await self.check_modules()
            await self.check_rights(drops)
            if not self.problems:
                await self.check_fields()
        except SinkError as error:
            self.problems.append(hint(error))
        return Check(not self.problems, (*self.details, *self.problems))

    async def check_version(self) -> None:
        """Report the version and the transport."""
        version = await self.client.version()
        transport = await self.client.transport()
        self.by_rest = isinstance(transport, Rest)
        self.details.append(f"Tryton {version} by {transport.name}")

    async def check_identity(self) -> None:
        """Report the user, and check its company and groups."""
        preferences = await self.client.ask("res.user", "get_preferences", context_only=False)
        if not isinstance(preferences, dict) or not preferences.get("name"):
            raise Misconfigured("Tryton does not name the user of these credentials")
        self.details.append(f"the user is {preferences['name']}")
        if not preferences.get("companies"):
            self.problems.append(f"{preferences['name']} belongs to no company and sees no sales: add a company")
        if self.settings.force_quantity:
            await self.check_force_group(preferences.get("groups") or [])

    def hint_at_credentials(self, error: SinkError) -> str:
        """Return the error of the first call with credentials, and the options that may be wrong."""
        text = str(error)
        if isinstance(error, Unanswered) or "option" in text:
            return text
        if "answered 404" in text:
            return f"{text} (option database)" if self.settings.transport == "auto" else f"{text} (options {DATABASE})"
        if not isinstance(error, Misconfigured):
            return text
        return f"{text} (option application_key)" if self.by_rest else f"{text} (options user and password)"

    async def check_force_group(self, groups: list[int]) -> None:
        """Check that the user may force an assignment."""
        domain = [["id", "in", groups], ["name", "=", FORCE_GROUP]]
        if not await self.client.search("res.group", domain, ["id"], 1):
            self.problems.append(f"force_quantity needs the user in the group {FORCE_GROUP}")

    async def check_modules(self) -> bool:
        """Return True if Tryton has drop shipments."""
        domain = [["name", "in", ["sale", TRACKING_MODULE, DROP_MODULE]], ["state", "=", "activated"]]
        rows = await self.client.search("ir.module", domain, ["name"])
        active = {str(row["name"]) for row in rows}
        for module, use in (("sale", "for sales"), (TRACKING_MODULE, "for tracking numbers")):
            if module not in active:
                self.problems.append(f"activate the module {module}: Tryton needs it {use}")
        self.details.append(f"modules: {', '.join(sorted(active)) or 'none of the required ones'}")
        return DROP_MODULE in active

    async def check_rights(self, drops: bool) -> None:
        """Check rights on models. Rights on buttons and records show only when they are used."""
        if self.problems:
            return
        needed = self.rights(drops)
        access = await self.client.ask("ir.model.access", "get_access", models=sorted({model for model, _ in needed}))
        missing = [f"{operation} {model}" for model, operation in needed if not access[model][operation]]
        if missing:
            advice = "add it to the groups Sales and Stock"
            self.problems.append(f"the user lacks rights ({', '.join(missing)}): {advice}")
        else:
            self.details.append("rights: sales, notes, shipments")

    def rights(self, drops: bool) -> list[tuple[str, str]]:
        """Return the models and operations that the options need."""
        splitting = self.settings.mark_delivered == "line"
        return [
            ("sale.sale", "read"),
            ("sale.line", "read"),
            ("ir.note", "read"),
            ("ir.note", "create"),
            ("product.product", "read"),
            ("stock.move", "read"),
            *([("stock.move", "write")] if splitting else []),
            *((model, operation) for model in ([OUT, DROP] if drops else [OUT]) for operation in ("read", "write")),
        ]

    async def check_fields(self) -> None:
        """Check that each field of order_match exists and can be searched."""
        for name in self.settings.order_match:
            try:
                await self.client.search("sale.sale", [[name, "=", "-"]], ["number", name], 1)
            except ServerError:
                self.problems.append(f"sale.sale has no {name}: order_match names no field of it")
        if not self.problems:
            self.details.append(f"sale.sale has {', '.join(self.settings.order_match)}")
