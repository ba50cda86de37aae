"""Takes shipments to the state done, or cancels them, state by state; each state is read again before the next step.

To ship one line of several, the shipment is split: the other lines' quantities become 0, and Tryton makes another
shipment of the rest. A shipment that can't be split waits until all its lines have a note.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cloudsignal_tryton.client import AttemptClient
from cloudsignal_tryton.options import Settings
from cloudsignal_tryton.orders import DROP, OUT, Line, Move, Orders, Ref, Shipment
from gateway.sink import Permanent, has_tracking, merge_tracking

SPLITTABLE_STATES = frozenset({"draft", "waiting", "assigned"})
"""States in which nobody has picked the goods yet."""
CANCELLABLE_STATES = frozenset({"draft", "waiting", "assigned", "picked", "packed"})
MAX_STATE_CHANGES = 10
"""Buttons pressed on one shipment in one attempt. Six lead from draft to done, so more means a loop."""


class Shipping:
    """The steps on shipments. Remarks are sentences for the note."""

    def __init__(self, settings: Settings, client: AttemptClient, orders: Orders) -> None:
        self.settings = settings
        self.client = client
        self.orders = orders

    # -- tracking

    async def add_tracking(self, moves: Sequence[Move], line: Line | None, number: str) -> list[str]:
        """Add the tracking number to the shipments of the moves, the open ones if there are any. Return remarks.

        If the line is unknown and several shipments could be meant, none is changed, and a remark says so.
        """
        if not number:
            return ["The signal has no tracking number"]
        everywhere = await self.orders.shipments(refs_of(moves)) if moves else []
        if any(has_tracking(shipment.tracking, number) for shipment in everywhere):
            return []
        chosen = [shipment for shipment in everywhere if shipment.state != "done"] or everywhere
        if not chosen:
            return ["The tracking number was not saved on a shipment, because the order has none in Tryton"]
        if line is None and len(chosen) > 1:
            return ["The tracking number was not saved on a shipment, because the order has several"]
        for shipment in chosen:
            await self.orders.set_tracking(shipment.ref, merge_tracking(shipment.tracking, number))
        return []

    # -- shipping

    async def mark(self, moves: Sequence[Move], line: Line | None) -> list[str]:
        """Ship the moves, which are the line's, or the whole order's if the line is unknown. Return remarks."""
        # The signal of one item says nothing about the other lines.
        if line is None and len({move.line for move in moves}) > 1:
            return ["Not marked as shipped: the order has several lines and line_match is none"]
        own = moves[0].line
        postponed = False
        for shipment in await self.orders.shipments(refs_of(moves)):
            if shipment.state != "done":
                postponed |= not await self.ship(shipment, own)
        return ["Not marked as shipped yet: other lines of the shipment have not been shipped"] if postponed else []

    async def ship(self, shipment: Shipment, own: int | None) -> bool:
        """Ship the line's goods of a shipment. Return False if they have to wait for the other lines."""
        content = await self.orders.content(shipment.ref)
        others = [move for move in content if move.line != own]
        if others and self.can_split(shipment, content):
            await self.split(shipment, content, own)
            try:
                await self.run(shipment)
            except Permanent:
                await self.restore(shipment.ref)
                raise
            return True
        waiting = {move.line for move in others if move.quantity}
        if waiting and not await self.are_noted(waiting):
            return False
        await self.run(shipment)
        return True

    def can_split(self, shipment: Shipment, content: Sequence[Move]) -> bool:
        """Return True if the line may be shipped alone."""
        # Tryton makes the shipment of the rest from the sale's lines: a move without a line would be lost.
        whole = all(move.line is not None for move in content)
        splitting = self.settings.mark_delivered == "line" and shipment.ref.model == OUT
        return splitting and whole and shipment.state in SPLITTABLE_STATES

    async def are_noted(self, lines: Collection[int | None]) -> bool:
        """Return True if each of the lines has a note that says that it is shipped."""
        known = {line for line in lines if line is not None}
        return len(known) == len(lines) and known <= await self.orders.noted_lines(known)

    async def split(self, shipment: Shipment, content: Sequence[Move], own: int | None) -> None:
        """Leave only the line's goods in the shipment. An attempt for another line may have been cut short here."""
        if shipment.state == "assigned":
            await self.orders.press(shipment.ref, "wait")
        emptied = [move for move in content if move.line == own and not move.quantity]
        unshipped = await self.orders.unshipped(emptied) if emptied else {}
        for move in content:
            if move.line != own and move.quantity:
                await self.orders.set_quantity(move, 0)
            elif move.id in unshipped:
                await self.orders.set_quantity(move, unshipped[move.id])
        # Tryton then plans to pick the remaining goods and no others.
        await self.orders.press(shipment.ref, "wait")

    async def restore(self, ref: Ref) -> None:
        """Put the other lines back into a shipment that was split and could not be shipped."""
        if await self.orders.state(ref) not in SPLITTABLE_STATES:
            return
        emptied = [move for move in await self.orders.content(ref) if not move.quantity]
        for move in emptied:
            # One at a time: the quantity that one move gets is no longer missing from the next move of its line.
            unshipped = await self.orders.unshipped([move])
            if unshipped.get(move.id, 0) > 0:
                await self.orders.set_quantity(move, unshipped[move.id])
        await self.orders.press(ref, "wait")

    async def run(self, shipment: Shipment) -> None:
        """Take a shipment from its present state to done. It is never taken back."""
        series = await self.client.series()
        state = await self.orders.state(shipment.ref)
        for _ in range(MAX_STATE_CHANGES):
            if state == "done":
                return
            button = next_button(shipment, state, series)
            if button is None:
                break
            state = await self.advance(shipment, state, button)
        raise Permanent(f"shipment {shipment.name} can't be shipped: its state is {state}")

    async def advance(self, shipment: Shipment, state: str, button: str) -> str:
        """Press the button, read the state again and return it. Raises Permanent if the state is the same."""
        refused: Permanent | None = None
        try:
            await self.orders.press(shipment.ref, button)
        except Permanent as error:  # someone else may have pressed it first
            refused = error
        after = await self.orders.state(shipment.ref)
        if after == state and button == "assign_try" and refused is None:
            after = await self.force(shipment)
        if after != state:
            return after
        raise refused or Permanent(f"shipment {shipment.name}: its state is still {state} after {button}")

    async def force(self, shipment: Shipment) -> str:
        """Assign goods that are not in stock, if the options allow it. Return the new state."""
        if not self.settings.force_quantity:
            where = f"shipment {shipment.name}: not all of it is in stock"
            raise Permanent(f"{where}; add stock and replay, or set force_quantity")
        await self.orders.press(shipment.ref, "assign_force")
        return await self.orders.state(shipment.ref)

    # -- cancelling

    async def cancel(self, moves: Sequence[Move], own: Collection[int]) -> list[str]:
        """Cancel the open shipments of the moves that contain only `own` lines. Return a remark for each shipment.

        A remark describes the shipment's state, not this attempt's work: an earlier attempt may have cancelled it.
        """
        remarks: list[str] = []
        for shipment in await self.orders.shipments(refs_of(moves)):
            blocker = "" if shipment.state == "cancelled" else await self.cancel_blocker(shipment, own)
            if blocker:
                remarks.append(f"Shipment {shipment.name} was not cancelled: {blocker}")
                continue
            if shipment.state != "cancelled":
                await self.cancel_one(shipment)
            remarks.append(f"Shipment {shipment.name} is cancelled in Tryton")
        return remarks

    async def cancel_blocker(self, shipment: Shipment, own: Collection[int]) -> str:
        """Return the reason not to cancel a shipment, "" if it may be. Tryton itself would cancel one on its way."""
        if shipment.state not in CANCELLABLE_STATES:
            return f"its state is {shipment.state}"
        if shipment.tracking:
            return "it has a tracking number"
        content = [move for move in await self.orders.content(shipment.ref) if move.quantity]
        if any(move.line not in own for move in content):
            return "it contains other lines too"
        return "a note says that it is shipped" if await self.orders.noted_lines(own) else ""

    async def cancel_one(self, shipment: Shipment) -> None:
        """Cancel a shipment and verify it."""
        await self.orders.press(shipment.ref, "cancel")
        if (state := await self.orders.state(shipment.ref)) != "cancelled":
            raise Permanent(f"Tryton did not cancel shipment {shipment.name}: its state is still {state}")


def next_button(shipment: Shipment, state: str, series: tuple[int, int]) -> str | None:
    """Return the next button on the way from a state to done, None if there is none."""
    finish = "do" if series >= (7, 2) else "done"
    if shipment.ref.model == DROP:
        return {"draft": "wait", "waiting": "ship", "shipped": finish}.get(state)
    buttons = {
        "draft": "wait",
        "waiting": "assign_try",
        "assigned": "pick",
        "picked": "pack",
        "packed": "ship" if series >= (7, 4) else finish,
        "shipped": finish,
    }
    if shipment.direct:
        # Nothing is picked, and 7.0 packs without assigning first.
        buttons["waiting" if series < (7, 2) else "assigned"] = "pack"
    return buttons.get(state)


def refs_of(moves: Sequence[Move]) -> list[Ref]:
    """Return the moves' shipments, each once."""
    return list(dict.fromkeys(move.shipment for move in moves if move.shipment is not None))
