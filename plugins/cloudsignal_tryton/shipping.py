"""Brings shipments to their end, or cancels them: state by state, each read again before the next.

A shipment of several lines is split for the one that is shipped: the other lines' quantities become 0, and Tryton
makes a shipment of the rest. Where that can't be, the shipment waits until all its lines have a note.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cloudsignal_tryton.client import AttemptClient
from cloudsignal_tryton.options import Settings
from cloudsignal_tryton.orders import DROP, OUT, Line, Move, Orders, Ref, Shipment
from gateway.sink import Permanent, has_tracking, merge_tracking

SPLITTABLE_STATES = frozenset({"draft", "waiting", "assigned"})
"""The states in which nobody has the goods in hand yet."""
CANCELLABLE_STATES = frozenset({"draft", "waiting", "assigned", "picked", "packed"})
MAX_STATE_CHANGES = 10


class Shipping:
    """The steps on shipments that Actions puts together."""

    def __init__(self, settings: Settings, client: AttemptClient, orders: Orders) -> None:
        self.settings = settings
        self.client = client
        self.orders = orders

    # -- tracking

    async def add_tracking(self, moves: Sequence[Move], line: Line | None, number: str) -> list[str]:
        """Add the tracking number to the shipments of the moves, the open ones if there are any. Remarks.

        Where the line is not known and several shipments could be meant, none is touched and a remark says so.
        """
        if not number:
            return []
        everywhere = await self.orders.shipments(refs_of(moves)) if moves else []
        if any(has_tracking(shipment.tracking, number) for shipment in everywhere):
            return []
        chosen = [shipment for shipment in everywhere if shipment.state != "done"] or everywhere
        if not chosen:
            return ["The order has no shipment in Tryton to put the tracking number on"]
        if line is None and len(chosen) > 1:
            return ["The tracking number was put on no shipment: the order has several"]
        for shipment in chosen:
            await self.orders.set_tracking(shipment.ref, merge_tracking(shipment.tracking, number))
        return []

    # -- to the end

    async def mark(self, moves: Sequence[Move], line: Line | None) -> list[str]:
        """Ship what the moves bring, which are the line's, or all of the order where the line is not known. Remarks."""
        # One item's signal proves nothing of the other lines.
        if line is None and len({move.line for move in moves}) > 1:
            return ["Not marked as shipped: the order has several lines and line_match is none"]
        own = moves[0].line
        postponed = False
        for shipment in await self.orders.shipments(refs_of(moves)):
            if shipment.state != "done":
                postponed |= not await self.ship(shipment, own)
        return ["Not marked as shipped yet: other lines of the shipment have not been shipped"] if postponed else []

    async def ship(self, shipment: Shipment, own: int | None) -> bool:
        """Ship the line's part of a shipment. False where it has to wait for the other lines."""
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
        # What is of no sale's line would not come back in a shipment of the rest.
        whole = all(move.line is not None for move in content)
        splitting = self.settings.mark_delivered == "line" and shipment.ref.model == OUT
        return splitting and whole and shipment.state in SPLITTABLE_STATES

    async def are_noted(self, lines: Collection[int | None]) -> bool:
        """Whether each of the lines has a note that says that it is shipped."""
        known = {line for line in lines if line is not None}
        return len(known) == len(lines) and known <= await self.orders.noted_lines(known)

    async def split(self, shipment: Shipment, content: Sequence[Move], own: int | None) -> None:
        """Leave only the line's part in the shipment. An attempt cut short here may have been another line's."""
        if shipment.state == "assigned":
            await self.orders.press(shipment.ref, "wait")
        emptied = [move for move in content if move.line == own and not move.quantity]
        unshipped = await self.orders.unshipped(emptied) if emptied else {}
        for move in content:
            if move.line != own and move.quantity:
                await self.orders.set_quantity(move, 0)
            elif move.id in unshipped:
                await self.orders.set_quantity(move, unshipped[move.id])
        # Has the goods picked that are left, and no others.
        await self.orders.press(shipment.ref, "wait")

    async def restore(self, ref: Ref) -> None:
        """Put the other lines back into a shipment that was split and could not be shipped."""
        if await self.orders.state(ref) not in SPLITTABLE_STATES:
            return
        emptied = [move for move in await self.orders.content(ref) if not move.quantity]
        for move in emptied:
            # One at a time: what one move brings, the next of the same line need not.
            unshipped = await self.orders.unshipped([move])
            if unshipped.get(move.id, 0) > 0:
                await self.orders.set_quantity(move, unshipped[move.id])
        await self.orders.press(ref, "wait")

    async def run(self, shipment: Shipment) -> None:
        """Take a shipment through its states to the last. Never back: it goes on from where it is."""
        series = await self.client.series()
        state = await self.orders.state(shipment.ref)
        for _ in range(MAX_STATE_CHANGES):
            if state == "done":
                return
            button = next_button(shipment, state, series)
            if button is None:
                break
            state = await self.advance(shipment, state, button)
        raise Permanent(f"shipment {shipment.name} can't be shipped: it is {state}")

    async def advance(self, shipment: Shipment, state: str, button: str) -> str:
        """The state after the button, which is another one. Only what is read afterwards counts."""
        refused: Permanent | None = None
        try:
            await self.orders.press(shipment.ref, button)
        except Permanent as error:  # someone else may have been quicker
            refused = error
        after = await self.orders.state(shipment.ref)
        if after == state and button == "assign_try" and refused is None:
            after = await self.force(shipment)
        if after != state:
            return after
        raise refused or Permanent(f"shipment {shipment.name}: Tryton left it {state} after {button}")

    async def force(self, shipment: Shipment) -> str:
        """Assign what is not in stock, where the options allow it: the stock becomes negative. The state after it."""
        if not self.settings.force_quantity:
            where = f"shipment {shipment.name}: not all of it is in stock"
            raise Permanent(f"{where}; put it in stock and replay, or set force_quantity")
        await self.orders.press(shipment.ref, "assign_force")
        return await self.orders.state(shipment.ref)

    # -- cancelling

    async def cancel(self, moves: Sequence[Move], own: Collection[int]) -> list[str]:
        """Cancel the shipments of the moves that are open and hold only `own` lines. Remarks on each shipment.

        The remarks tell how the shipments stand, not what this attempt did: an earlier one may have been cut short.
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
        """Why a shipment is left to a person; Tryton itself would cancel one that is on its way."""
        if shipment.state not in CANCELLABLE_STATES:
            return f"it is {shipment.state}"
        if shipment.tracking:
            return "it has a tracking number"
        content = [move for move in await self.orders.content(shipment.ref) if move.quantity]
        if any(move.line not in own for move in content):
            return "it holds other lines too"
        return "a note says that it is shipped" if await self.orders.noted_lines(own) else ""

    async def cancel_one(self, shipment: Shipment) -> None:
        await self.orders.press(shipment.ref, "cancel")
        if (state := await self.orders.state(shipment.ref)) != "cancelled":
            raise Permanent(f"Tryton did not cancel shipment {shipment.name}: it is still {state}")


def next_button(shipment: Shipment, state: str, series: tuple[int, int]) -> str | None:
    """The button that leads from the state on towards `done`, None where there is none."""
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
        # Nothing is picked; 7.0 packs without having assigned.
        buttons["waiting" if series < (7, 2) else "assigned"] = "pack"
    return buttons.get(state)


def refs_of(moves: Sequence[Move]) -> list[Ref]:
    return list(dict.fromkeys(move.shipment for move in moves if move.shipment is not None))
