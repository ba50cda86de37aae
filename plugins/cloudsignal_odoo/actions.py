"""What each signal does to its order. Find, guard, tracking, quantity and validate, verify, activity, note last.

The note is the commit mark: where it is there, everything has been done. Each step before it first looks whether
it is done, so an attempt that ended anywhere is simply repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cloudsignal_odoo import overtaken, texts
from cloudsignal_odoo.options import Settings
from cloudsignal_odoo.orders import Order, Orders
from cloudsignal_odoo.shipping import Shipping
from gateway.sink import Delivery, Permanent, describe_type, pick_order, require_reference, signal_types

QUOTATION_STATES = frozenset({"draft", "sent"})


class Actions:
    """`now` gives seconds since the epoch."""

    def __init__(self, settings: Settings, orders: Orders, now: Callable[[], float], log: Any) -> None:
        self.settings = settings
        self.orders = orders
        self.shipping = Shipping(settings, orders)
        self.now = now
        self.log = log

    async def apply(self, delivery: Delivery) -> None:
        """Bring the signal to its order, once. Raises what a sink may."""
        order = await self.find_order(delivery)
        if await self.orders.has_note(order, delivery):
            return
        if order.state in QUOTATION_STATES:
            raise Permanent(f"order {order.name} is a quotation: confirm it, then replay")
        match delivery.signal.type:
            case signal_types.ITEM_SHIPPED:
                self.reject_if_canceled(order, delivery)
                remarks = await self.shipping.ship(order, delivery.signal)
            case signal_types.ORDER_CANCELED:
                remarks = await self.handle_cancellation(order, delivery)
            case problem if problem in signal_types.TROUBLE:
                remarks = await self.report_problem(order, delivery)
            case _:
                remarks = []
        await self.post_note_once(order, delivery, remarks)

    async def find_order(self, delivery: Delivery) -> Order:
        """Return the order that the signal is about. Raises Permanent or RetryLater if there is not exactly one."""
        found = await self.orders.find(self.settings.order_match, require_reference(delivery.signal))
        may_wait = self.now() - delivery.created_at < self.settings.unknown_order_retry_for
        return pick_order(found, self.settings.order_match, may_wait)

    async def post_note_once(self, order: Order, delivery: Delivery, remarks: Sequence[str]) -> None:
        """Post the note, unless an earlier attempt's has come through meanwhile."""
        if not await self.orders.has_note(order, delivery):
            await self.orders.post_note(order, delivery, texts.note(delivery, remarks))

    # -- trouble

    async def report_problem(self, order: Order, delivery: Delivery) -> list[str]:
        """Call for a person, unless the item has got past it. Remarks."""
        if later := overtaken.resolved_by(delivery):
            return [f"No activity: told of only after this: {describe_type(later)}"]
        await self.create_activity(order, delivery)
        return []

    async def create_activity(self, order: Order, delivery: Delivery) -> None:
        if await self.orders.has_activity(order, delivery):
            return
        user = self.settings.activity_user or order.salesperson
        await self.orders.add_activity(order, delivery, texts.activity_html(delivery), user, self.now())

    def reject_if_canceled(self, order: Order, delivery: Delivery) -> None:
        """Permanent for what is shipped though it is cancelled: in Odoo, or by the printer's own word."""
        if order.state == "cancel":
            reason = f"shipped, but order {order.name} is cancelled: look into it"
        elif what := overtaken.canceled_scope(delivery):
            reason = f"shipped, but the printer had cancelled the {what}: look into it (order {order.name})"
        else:
            return
        self.log.warning("odoo.shipped_though_canceled", **delivery.log_context(), reason=reason)
        raise Permanent(reason)

    # -- cancellation

    async def handle_cancellation(self, order: Order, delivery: Delivery) -> list[str]:
        """Cancel the order where the options say so and nothing hinders it, else call for a person. Remarks."""
        remarks = []
        if self.settings.on_cancel == "cancel":
            blocker = await self.cancel_blocker(order)
            if not blocker:
                await self.cancel(order)
                return ["The order was cancelled in Odoo"]
            remarks = [f"Not cancelled in Odoo: {blocker}"]
        await self.create_activity(order, delivery)
        return remarks

    async def cancel_blocker(self, order: Order) -> str:
        """Why the order must not be cancelled, "" where it may. Odoo itself would cancel a delivered order."""
        if order.state == "cancel":
            return ""
        if order.locked:
            return "the order is locked"
        return "something of it has been shipped" if await self.orders.is_shipped(order) else ""

    async def cancel(self, order: Order) -> None:
        """Cancel the order and make sure of it. An earlier attempt may have done so."""
        if order.state == "cancel":
            return
        await self.orders.cancel(order)
        if (state := await self.orders.state(order)) != "cancel":
            raise Permanent(f"Odoo did not cancel order {order.name}: it is still in state {state}")
