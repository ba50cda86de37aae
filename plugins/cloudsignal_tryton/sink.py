"""The sink class: one attempt per order at a time, and the check of a route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudsignal_tryton.actions import Actions
from cloudsignal_tryton.client import AttemptClient, Client
from cloudsignal_tryton.faults import ServerError, ServerErrorLimit
from cloudsignal_tryton.options import DEFAULT_TYPES, Settings
from cloudsignal_tryton.orders import Orders
from cloudsignal_tryton.preflight import Preflight
from gateway.sink import Check, Context, Delivery, HttpSink, OrderLocks, Skip, is_reference, options_of


class TrytonSink(HttpSink):
    """Keeps sales in step with their printing. README.md lists what each signal does."""

    name = "tryton"
    summary = "notes, tracking numbers and shipments of Tryton's sales (7.0, 8.0)"
    signals = DEFAULT_TYPES
    order = "lane"
    sample = {
        "url": "https://tryton.example.com",
        "database": "bookshop",
        "application_key": "!file secrets/tryton-key",
    }
    options = options_of(Settings)
    timeout = 600.0
    # Longer than usual proxies wait, so that their answer about an unfinished request still arrives.
    read_timeout = 150.0

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__(options, context)
        self.tryton = Settings(**options)
        self.client = Client(self.request, self.tryton, context.now)
        self.server_error_limit = ServerErrorLimit(context.now)
        self.locks = OrderLocks()

    async def open(self) -> None:
        """Raise Misconfigured if the credentials that the transport needs are missing."""
        self.tryton.require_credentials()

    async def deliver(self, delivery: Delivery) -> None:
        """Apply the signal to its order."""
        wanted = DEFAULT_TYPES.union(self.tryton.notes)
        if delivery.signal.type not in wanted:
            raise Skip(f"nothing to do in Tryton for {delivery.signal.type[:60]}; the option notes can ask for a note")
        client = AttemptClient(self.client, self.write_guard())
        actions = Actions(self.tryton, client, self.context.now, self.log)
        # Two print orders may share a reference, and so a sale. An attempt reads and then writes: two attempts at once
        # would overwrite each other's tracking numbers.
        async with self.locks.of(delivery.signal.order_reference):
            try:
                await actions.apply(delivery)
            except ServerError as error:
                self.server_error_limit.check(delivery.key, error)
                raise
        self.server_error_limit.forget(delivery.key)

    async def knows(self, reference: str) -> bool:
        """Return True if Tryton has a sale with this reference, in any state."""
        orders = Orders(AttemptClient(self.client, self.write_guard()))
        return is_reference(reference) and bool(await orders.find(self.tryton.order_match, reference))

    async def check(self) -> Check:
        """Check version, identity, rights, fields and modules. Changes nothing in Tryton."""
        return await Preflight(self.client, self.tryton).run()
