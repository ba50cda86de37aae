"""The sink class: one attempt per order at a time, and the check of a route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudsignal_odoo.actions import Actions
from cloudsignal_odoo.client import AttemptClient, Client
from cloudsignal_odoo.options import DEFAULT_TYPES, Settings
from cloudsignal_odoo.orders import Orders
from cloudsignal_odoo.preflight import Preflight
from gateway.sink import Check, Context, Delivery, HttpSink, Misconfigured, OrderLocks, Skip, is_reference, options_of


class OdooSink(HttpSink):
    """Keeps sales orders in step with their printing. README.md lists what each signal does."""

    name = "odoo"
    summary = "notes, activities, tracking numbers and deliveries on Odoo's sales orders (17, 18, 19)"
    signals = DEFAULT_TYPES
    order = "lane"
    sample = {"url": "https://bookshop.odoo.example", "database": "bookshop", "api_key": "!file secrets/odoo-key"}
    options = options_of(Settings)
    timeout = 600.0
    # Odoo ends a request after 120 s by default, so an answer within 150 s is the last word on it.
    read_timeout = 150.0

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__(options, context)
        self.odoo = Settings(**options)
        self.client = Client(self.request, self.odoo, context.now)
        self.locks = OrderLocks()

    async def open(self) -> None:
        """Raise Misconfigured if options contradict each other."""
        if self.odoo.transport == "jsonrpc" and not self.odoo.login:
            raise Misconfigured("transport: jsonrpc needs the option login")

    async def deliver(self, delivery: Delivery) -> None:
        """Apply the signal to its order."""
        wanted = DEFAULT_TYPES.union(self.odoo.notes)
        if delivery.signal.type not in wanted:
            raise Skip(f"nothing to do in Odoo for {delivery.signal.type[:60]}; the option notes can ask for a note")
        orders = Orders(AttemptClient(self.client, self.write_guard()))
        actions = Actions(self.odoo, orders, self.context.now, self.log)
        # Two print orders may share a reference, and so a sales order. An attempt reads and then writes: two attempts
        # at once would overwrite each other's tracking numbers.
        async with self.locks.of(delivery.signal.order_reference):
            await actions.apply(delivery)

    async def knows(self, reference: str) -> bool:
        """Return True if Odoo has an order with this reference, in any state."""
        orders = Orders(AttemptClient(self.client, self.write_guard()))
        return is_reference(reference) and bool(await orders.find(self.odoo.order_match, reference))

    async def check(self) -> Check:
        """Check version, identity, rights, fields and the key's expiry. Changes nothing in Odoo."""
        return await Preflight(self.client, self.odoo, self.context.now).run()
