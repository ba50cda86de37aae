"""Applies a shipped item to the order's transfers: tracking numbers and, if the options ask for it, validation."""

from __future__ import annotations

from collections.abc import Sequence

from cloudsignal_odoo.options import Settings
from cloudsignal_odoo.orders import Move, Order, Orders
from gateway.sink import Permanent, Signal, has_tracking, merge_tracking, one_line

QUANTITY_TOLERANCE = 1e-6
"""Units; Odoo's quantities are floats rounded to the unit's precision, so a smaller difference is none."""


class Shipping:
    """The steps of a shipment: tracking first, then quantities, validation, and a check of the result."""

    def __init__(self, settings: Settings, orders: Orders) -> None:
        self.settings = settings
        self.orders = orders

    async def ship(self, order: Order, signal: Signal) -> list[str]:
        """Save the tracking number and, if the options ask for it, mark the transfer delivered. Return remarks."""
        moves = await self.orders.moves(order)
        line = await self.find_line(order, signal)
        mine = [move for move in moves if line in {None, move.line}]
        marking = self.settings.mark_delivered != "none"
        if marking and line is None and self.settings.line_match != "none":
            raise Permanent(f"no line of order {order.name} matches the signal's item (by {self.settings.line_match})")
        if marking and not mine:
            raise Permanent(f"order {order.name} has no delivery for this item to mark as delivered")
        # Before the validation, so that the customer's confirmation mail contains the number.
        remarks = await self.add_tracking(mine, line, one_line(signal.text("tracking")))
        if not marking:
            return remarks
        # The signal of one item says nothing about the other lines.
        if line is None and len({move.line for move in mine}) > 1:
            return [*remarks, "Not marked as delivered: the order has several lines and line_match is none"]
        return [*remarks, *await self.mark_done(order, mine)]

    async def find_line(self, order: Order, signal: Signal) -> int | None:
        """Return the id of the order line that is the signal's item, None if it is unknown."""
        reference = signal.item_reference or ""
        match self.settings.line_match:
            case "id":
                number = int(reference) if reference.isascii() and reference.isdigit() else 0
                return number if number in order.lines else None
            case "default_code":
                lines = await self.orders.find_lines(order, reference) if reference else []
                if len(lines) > 1:
                    raise Permanent(f"ambiguous: several lines of order {order.name} have the item's product code")
                return lines[0] if lines else None
        return None

    async def add_tracking(self, moves: Sequence[Move], line: int | None, number: str) -> list[str]:
        """Add the tracking number to the transfers of the moves, the open ones if there are any. Return remarks.

        If the line is unknown and several transfers could be meant, none is changed, and a remark says so.
        """
        if not number:
            return ["The signal has no tracking number"]
        everywhere = await self.orders.tracking(transfers_of(moves)) if moves else {}
        if any(has_tracking(present, number) for present in everywhere.values()):
            return []
        chosen = transfers_of([move for move in moves if not move.done] or moves)
        if not chosen:
            return ["The tracking number was not saved on a delivery, because the order has none in Odoo"]
        if line is None and len(chosen) > 1:
            return ["The tracking number was not saved on a delivery, because the order has several"]
        for transfer in chosen:
            await self.orders.set_tracking(transfer, merge_tracking(everywhere[transfer], number))
        return []

    async def mark_done(self, order: Order, moves: Sequence[Move]) -> list[str]:
        """Ship the open moves in full; by `order`, a transfer waits for its last line. Return remarks."""
        waiting = [move for move in moves if not move.done]
        for move in waiting:
            self.require_stock(order, move)
        for move in waiting:
            await self.orders.pick(move)
        incomplete = await self.incomplete_transfers(order) if self.settings.mark_delivered == "order" else set()
        for transfer in transfers_of(waiting):
            if transfer not in incomplete:
                await self.validate(order, transfer, [move.id for move in waiting if move.transfer == transfer])
        postponed = incomplete.intersection(transfers_of(waiting))
        return ["Not marked as delivered yet: other lines have not been shipped"] if postponed else []

    def require_stock(self, order: Order, move: Move) -> None:
        """Raise Permanent if not all of the move is reserved, unless the options allow it."""
        # Shipping more than is reserved would make the stock negative.
        if move.reserved < move.ordered - QUANTITY_TOLERANCE and not self.settings.force_quantity:
            found = f"{move.reserved:g} of {move.ordered:g} reserved"
            raise Permanent(f"order {order.name}: {found}; reserve the rest and replay, or set force_quantity")

    async def incomplete_transfers(self, order: Order) -> set[int]:
        """Return the transfers that still have a line to ship."""
        return {move.transfer for move in await self.orders.moves(order) if not (move.done or move.picked)}

    async def validate(self, order: Order, transfer: int, moves: Sequence[int]) -> None:
        """Validate a transfer and read the moves again, because neither a wizard nor a success tells the result."""
        refused: Permanent | None = None
        wizard = ""
        try:
            wizard = await self.orders.validate(transfer)
        except Permanent as error:
            # Odoo 17 refuses a transfer that is done already, for example by an earlier attempt.
            refused = error
        if await self.orders.all_done(moves):
            return
        if refused is not None:
            raise refused
        why = f"Odoo asked for {wizard}" if wizard else "Odoo left it open"
        raise Permanent(f"order {order.name}: the delivery was not validated: {why}")


def transfers_of(moves: Sequence[Move]) -> list[int]:
    """Return the ids of the moves' transfers, each once."""
    return list(dict.fromkeys(move.transfer for move in moves))
