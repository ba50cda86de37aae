"""Applies a signal to its order: find it, check it, do the work, verify it, and post the note last.

The note is the commit mark: if it is there, all of the signal's work is done. Each earlier step first looks whether
it is done already, so an attempt that was cut short anywhere is simply repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cloudsignal_odoo import overtaken, texts
from cloudsignal_odoo.options import Settings
from cloudsignal_odoo.orders import Order, Orders
from cloudsignal_odoo.shipping import Shipping
from gateway.sink import (
    Delivery,
    OrderWait,
    Permanent,
    describe_type,
    pick_order,
    require_confirmed,
    require_reference,
    signal_types,
)

QUOTATION_STATES = frozenset({"draft", "sent"})


class Actions:
    """The actions of one attempt. `now` gives seconds since the epoch. Remarks are sentences for the note."""

    def __init__(self, settings: Settings, orders: Orders, now: Callable[[], float], log: Any) -> None:
        self.settings = settings
        self.orders = orders
        self.shipping = Shipping(settings, orders)
        self.now = now
        self.log = log

    async def apply(self, delivery: Delivery) -> None:
        """Apply the signal to its order once. Raises RetryLater, Permanent or Misconfigured."""
        order = await self.find_order(delivery)
        if await self.orders.has_note(order, delivery):
            return
        require_confirmed(order, QUOTATION_STATES, self.wait(delivery))
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
        """Return the order that the signal is about. Raises Permanent, RetryLater or Skip if it is not exactly one."""
        found = await self.orders.find(self.settings.order_match, require_reference(delivery.signal))
        if self.may_have_cancelled(found, delivery):
            found = found[:1]
        return pick_order(found, self.settings.order_match, self.wait(delivery))

    def wait(self, delivery: Delivery) -> OrderWait:
        """Return the wait of the delivery for its order."""
        until = delivery.created_at + self.settings.unknown_order_retry_for
        return OrderWait(self.now(), until, self.settings.on_unknown == "skip")

    def may_have_cancelled(self, found: Sequence[Order], delivery: Delivery) -> bool:
        """Return True if an earlier attempt may have cancelled the first order: then all are cancelled."""
        cancelling = self.settings.on_cancel == "cancel" and delivery.signal.type == signal_types.ORDER_CANCELED
        return cancelling and all(order.state == "cancel" for order in found)

    async def post_note_once(self, order: Order, delivery: Delivery, remarks: Sequence[str]) -> None:
        """Post the note, unless an earlier attempt's note has arrived meanwhile."""
        # An earlier attempt's request may have been committed late, after apply() looked for the note.
        if not await self.orders.has_note(order, delivery):
            await self.orders.post_note(order, delivery, texts.note(delivery, remarks))

    # -- trouble

    async def report_problem(self, order: Order, delivery: Delivery) -> list[str]:
        """Create an activity, unless a later signal has made the problem obsolete. Return remarks."""
        if later := overtaken.resolved_by(delivery):
            return [f"No activity was created, because a later signal had arrived: {describe_type(later)}"]
        await self.create_activity(order, delivery)
        return []

    async def create_activity(self, order: Order, delivery: Delivery) -> None:
        """Create the signal's activity for the configured user, the salesperson or the gateway's own user."""
        if await self.orders.has_activity(order, delivery):
            return
        user = self.settings.activity_user or order.salesperson
        await self.orders.add_activity(order, delivery, texts.activity_html(delivery), user, self.now())

    def reject_if_canceled(self, order: Order, delivery: Delivery) -> None:
        """Raise Permanent if the order is cancelled in Odoo or was cancelled by the printer, and log a warning."""
        if order.state == "cancel":
            reason = f"shipped, but order {order.name} is cancelled in Odoo; find out where the parcel is"
        elif scope := overtaken.canceled_scope(delivery):
            canceled = f"the printer had cancelled the {scope} (order {order.name})"
            reason = f"shipped, but {canceled}; find out where the parcel is"
        else:
            return
        self.log.warning("odoo.shipped_though_canceled", **delivery.log_context(), reason=reason)
        raise Permanent(reason)

    # -- cancellation

    async def handle_cancellation(self, order: Order, delivery: Delivery) -> list[str]:
        """Cancel the order if the options ask for it and it may be, else create an activity. Return remarks."""
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
        """Return the reason not to cancel the order, "" if it may be. Odoo itself would cancel a delivered order."""
        if order.state == "cancel":
            return ""
        if order.locked:
            return "the order is locked"
        return "at least one item has been shipped" if await self.orders.is_shipped(order) else ""

    async def cancel(self, order: Order) -> None:
        """Cancel the order and verify it. An earlier attempt may have cancelled it."""
        if order.state == "cancel":
            return
        await self.orders.cancel(order)
        if (state := await self.orders.state(order)) != "cancel":
            raise Permanent(f"Odoo did not cancel order {order.name}: its state is still {state}")
