"""The sink: options, one attempt per order at a time, and the check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudsignal_odoo.actions import Actions
from cloudsignal_odoo.client import AttemptClient, Client
from cloudsignal_odoo.options import ACTED_ON, OPTIONS, Settings
from cloudsignal_odoo.orders import Orders
from cloudsignal_odoo.preflight import Preflight
from gateway.sink import Check, Context, Delivery, HttpSink, Misconfigured, OrderLocks, Skip


class OdooSink(HttpSink):
    """Keeps sales orders in step with their printing. What each signal does: README.md."""

    name = "odoo"
    summary = "notes, activities, tracking numbers and deliveries on Odoo's sales orders (17, 18, 19)"
    signals = ACTED_ON
    order = "lane"
    options = OPTIONS
    timeout = 600.0
    # Odoo ends a request after 120 s by default: whoever waits longer knows what became of it.
    read_timeout = 150.0

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__(options, context)
        self.odoo = Settings(**options)
        self.client = Client(self.request, self.odoo, context.now)
        self.locks = OrderLocks()

    async def open(self) -> None:
        """Misconfigured where options contradict each other."""
        if self.odoo.transport == "jsonrpc" and not self.odoo.login:
            raise Misconfigured("transport: jsonrpc needs the option login")

    async def deliver(self, delivery: Delivery) -> None:
        """Apply the signal to its order."""
        wanted = ACTED_ON.union(self.odoo.notes)
        if delivery.signal.type not in wanted:
            raise Skip(f"nothing to do in Odoo for {delivery.signal.type[:60]}: name it in notes for a note")
        actions = Actions(self.odoo, Orders(AttemptClient(self.client, self.write_guard())), self.context.now, self.log)
        # Two print orders may share a reference, and so a sales order: reading and writing must not interleave.
        async with self.locks.of(delivery.signal.order_reference):
            await actions.apply(delivery)

    async def check(self) -> Check:
        """Version, identity, rights, fields and the key's end. Changes nothing in Odoo."""
        return await Preflight(self.client, self.odoo, self.context.now).run()
