"""Applies a signal to its order: find it, check it, do the work, verify it, and post the note last.

The note is the commit mark: if it is there, all of the signal's work is done. Each earlier step first looks whether
it is done already, so an attempt that was cut short anywhere is simply repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from cloudsignal_tryton import texts
from cloudsignal_tryton.client import AttemptClient
from cloudsignal_tryton.options import Settings
from cloudsignal_tryton.orders import Line, Move, Order, Orders
from cloudsignal_tryton.shipping import Shipping
from gateway.sink import (
    Delivery,
    OrderWait,
    Permanent,
    Signal,
    one_line,
    pick_order,
    require_confirmed,
    require_reference,
    signal_types,
)

QUOTATION_STATES = frozenset({"draft", "quotation"})
CANCELLATION_TYPES = frozenset({signal_types.ITEM_CANCELED, signal_types.ORDER_CANCELED})


class Actions:
    """The actions of one attempt. `now` gives seconds since the epoch. Remarks are sentences for the note."""

    def __init__(self, settings: Settings, client: AttemptClient, now: Callable[[], float], log: Any) -> None:
        self.settings = settings
        self.orders = Orders(client)
        self.shipping = Shipping(settings, client, self.orders)
        self.now = now
        self.log = log

    async def apply(self, delivery: Delivery) -> None:
        """Apply the signal to its order once. Raises RetryLater, Permanent or Misconfigured."""
        order = await self.find_order(delivery)
        if await self.orders.has_note(order, delivery):
            return
        require_confirmed(order, QUOTATION_STATES, self.wait(delivery))
        remarks: Sequence[str] = ()
        line: Line | None = None
        if delivery.signal.type == signal_types.ITEM_SHIPPED:
            line = find_line(await self.orders.lines(order), delivery.signal, self.settings.line_match)
            remarks = await self.ship(order, line, delivery)
        elif delivery.signal.type in CANCELLATION_TYPES and self.settings.on_cancel == "cancel":
            remarks = await self.cancel(order, delivery)
        await self.post_note_once(order, delivery, texts.note(delivery, remarks, line.id if line else None))

    async def find_order(self, delivery: Delivery) -> Order:
        """Return the order that the signal is about. Raises Permanent, RetryLater or Skip if it is not exactly one."""
        found = await self.orders.find(self.settings.order_match, require_reference(delivery.signal))
        return pick_order(found, self.settings.order_match, self.wait(delivery))

    def wait(self, delivery: Delivery) -> OrderWait:
        """Return the wait of the delivery for its order."""
        until = delivery.created_at + self.settings.unknown_order_retry_for
        return OrderWait(self.now(), until, self.settings.on_unknown == "skip")

    async def post_note_once(self, order: Order, delivery: Delivery, note: str) -> None:
        """Post the note, unless an earlier attempt's note has arrived meanwhile."""
        # An earlier attempt's request may have been committed late, after apply() looked for the note.
        if not await self.orders.has_note(order, delivery):
            await self.orders.post_note(order, note)

    async def ship(self, order: Order, line: Line | None, delivery: Delivery) -> list[str]:
        """Save the tracking number and, if the options ask for it, mark the shipment shipped. Return remarks."""
        # A signal from before the cancellation is only late. From after it, one of the two must be wrong.
        canceled = delivery.furthest in CANCELLATION_TYPES
        if order.state == "cancelled":
            self.reject(delivery, f"order {order.name} is cancelled in Tryton")
        if canceled and not delivery.signal.late:
            self.reject(delivery, f"the printer had cancelled it (order {order.name})")
        marking = self.settings.mark_delivered != "none"
        if marking and line is None and self.settings.line_match != "none":
            raise Permanent(f"no line of order {order.name} matches the signal's item (by {self.settings.line_match})")
        moves = await self.find_moves(order, line, delivery)
        if marking and not moves:
            raise Permanent(f"order {order.name} has no shipment for this item to mark as shipped")
        remarks = await self.shipping.add_tracking(moves, line, one_line(delivery.signal.text("tracking")))
        if marking and canceled:
            return [*remarks, "Not marked as shipped, because the printer has cancelled it since"]
        return [*remarks, *await self.shipping.mark(moves, line)] if marking else remarks

    async def find_moves(self, order: Order, line: Line | None, delivery: Delivery) -> list[Move]:
        """Return the line's or the order's moves with a shipment. Raises RetryLater if Tryton will still make them."""
        moves = [move for move in await self.orders.moves(order) if line is None or move.line == line.id]
        live = [move for move in moves if move.live]
        if not live and any(move.state == "cancelled" for move in moves):
            self.reject(delivery, f"the shipment of order {order.name} is cancelled in Tryton")
        if not live:
            await self.expect_shipment(order, line, delivery)
        return live

    def reject(self, delivery: Delivery, reason: str) -> NoReturn:
        """Log a warning and raise Permanent for an item that was shipped after its cancellation."""
        reason = f"shipped, but {reason}; find out where the parcel is"
        self.log.warning("tryton.shipped_though_canceled", **delivery.log_context(), reason=reason)
        raise Permanent(reason)

    async def expect_shipment(self, order: Order, line: Line | None, delivery: Delivery) -> None:
        """Raise RetryLater if Tryton will still make the shipment: it does so after a while, or after the purchase."""
        lines = await self.orders.lines(order) if line is None else [line]
        if any(each.stocked for each in lines) and (wait := self.wait(delivery)).open:
            wait.go_on(f"order {order.name} has no shipment for this item yet")

    async def cancel(self, order: Order, delivery: Delivery) -> list[str]:
        """Cancel the order's open shipments, or the item's if it contains nothing else. Return remarks."""
        lines = await self.orders.lines(order)
        own = {line.id for line in lines}
        if delivery.signal.type == signal_types.ITEM_CANCELED:
            line = find_line(lines, delivery.signal, self.settings.line_match)
            if line is None and len(lines) > 1:
                return ["No shipment was cancelled, because the item's line is unknown"]
            own = {line.id} if line else own
        moves = [move for move in await self.orders.moves(order) if move.line in own and move.shipment]
        if not moves:
            if order.state == "confirmed" and (wait := self.wait(delivery)).open:
                wait.go_on(f"order {order.name} has no shipment to cancel yet")
            return ["No shipment was cancelled, because there is none in Tryton"]
        return await self.shipping.cancel(moves, own)


def find_line(lines: Sequence[Line], signal: Signal, match: str) -> Line | None:
    """Return the line that is the signal's item, None if it is unknown."""
    reference = signal.item_reference or ""
    if match == "none" or not reference:
        return None
    found = [line for line in lines if reference == (str(line.id) if match == "id" else line.code)]
    if len(found) > 1:
        raise Permanent("ambiguous: several lines of the order have the item's product code")
    return found[0] if found else None
