"""Reads and writes Tryton's records: sales, their lines, moves, shipments and notes."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from cloudsignal_tryton import texts
from cloudsignal_tryton.client import AttemptClient, Row
from gateway.sink import Delivery

OUT, DROP = "stock.shipment.out", "stock.shipment.drop"
TRACKING_FIELD = {OUT: "shipping_reference", DROP: "reference"}
"""The field for a shipment's tracking number, by model. A drop shipment has only its general reference."""


@dataclass(frozen=True, slots=True)
class Order:
    """A sale as read. `name` is shown to people."""

    id: int
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a sale. `stocked` is True for goods, which are shipped. `code` is the product's code."""

    id: int
    sale: int
    quantity: float
    stocked: bool
    code: str


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to a shipment, such as Tryton's `stock.shipment.out,5`."""

    model: str
    id: int

    def __str__(self) -> str:
        return f"{self.model},{self.id}"


@dataclass(frozen=True, slots=True)
class Move:
    """A stock move to the customer. `line` is None if it belongs to no sale, `shipment` if it has none yet."""

    id: int
    line: int | None
    shipment: Ref | None
    state: str
    quantity: float

    @property
    def live(self) -> bool:
        """Return True if the move is in a shipment and not cancelled."""
        return self.state != "cancelled" and self.shipment is not None


@dataclass(frozen=True, slots=True)
class Shipment:
    """A shipment. `tracking` is its numbers, joined by commas. `direct`: shipped from storage without picking."""

    ref: Ref
    name: str
    state: str
    tracking: str
    direct: bool


class Orders:
    """Each method is one or two calls of Tryton."""

    def __init__(self, client: AttemptClient) -> None:
        self.client = client

    # -- sales

    async def find(self, fields: Sequence[str], reference: str) -> list[Order]:
        """Return at most two sales that have the reference in one of the fields, cancelled ones only if no others."""
        domain = [["OR", *([field, "=", reference] for field in fields)]]
        alive = await self.client.search("sale.sale", [*domain, ["state", "!=", "cancelled"]], ["number", "state"], 2)
        rows = alive or await self.client.search("sale.sale", domain, ["number", "state"], 2)
        return [Order(row["id"], str(row["number"] or reference), str(row["state"])) for row in rows]

    async def lines(self, order: Order) -> list[Line]:
        """Return the order's lines of products."""
        return await self.search_lines([["sale", "=", order.id]])

    async def search_lines(self, domain: Sequence[Any]) -> list[Line]:
        """Return lines of products, without titles, comments and returns."""
        wanted = ["sale", "quantity", "product.type", "product.code"]
        rows = await self.client.search("sale.line", [["type", "=", "line"], *domain], wanted)
        return [read_line(row) for row in rows if (row["quantity"] or 0) >= 0]

    async def moves(self, order: Order) -> list[Move]:
        """Return the moves of the order's lines, including moves of cancelled shipments."""
        return await self.search_moves([["origin.sale", "=", order.id, "sale.line"]])

    async def search_moves(self, domain: Sequence[Any]) -> list[Move]:
        """Return moves to a customer, oldest first."""
        rows = await self.client.search("stock.move", domain, ["origin", "shipment", "state", "quantity"])
        moves = [read_move(row) for row in rows if not leads_to_a_move(row)]
        return sorted((move for move in moves if move is not None), key=lambda move: move.id)

    # -- shipments

    async def shipments(self, refs: Collection[Ref]) -> list[Shipment]:
        """Return the shipments, oldest first."""
        found: list[Shipment] = []
        for model in sorted({ref.model for ref in refs}, reverse=True):
            wanted = ["number", "state", TRACKING_FIELD[model]]
            wanted += ["warehouse_storage", "warehouse_output"] if model == OUT else []
            ids = sorted(ref.id for ref in refs if ref.model == model)
            rows = await self.client.search(model, [["id", "in", ids]], wanted)
            found += sorted((read_shipment(model, row) for row in rows), key=lambda shipment: shipment.ref.id)
        return found

    async def state(self, ref: Ref) -> str:
        """Return the shipment's state as it is now, or "deleted"."""
        rows = await self.client.search(ref.model, [["id", "=", ref.id]], ["state"])
        return str(rows[0]["state"]) if rows else "deleted"

    async def content(self, ref: Ref) -> list[Move]:
        """Return the shipment's moves to the customer, of this order and others."""
        return await self.search_moves([["shipment", "=", str(ref)], ["state", "!=", "cancelled"]])

    async def set_tracking(self, ref: Ref, numbers: str) -> None:
        """Replace a shipment's tracking numbers."""
        await self.client.write(ref.model, ref.id, {TRACKING_FIELD[ref.model]: numbers})

    async def set_quantity(self, move: Move, quantity: float) -> None:
        """Change a move's quantity."""
        await self.client.write("stock.move", move.id, {"quantity": quantity})

    async def press(self, ref: Ref, button: str) -> None:
        """Press a button of a shipment. Read the state again afterwards, because a success proves nothing."""
        await self.client.press(ref.model, ref.id, button)

    async def unshipped(self, moves: Collection[Move]) -> dict[int, float]:
        """Return, by move, the quantity of its line that no other move ships."""
        lines = sorted({move.line for move in moves if move.line is not None})
        ordered = {line.id: line.quantity for line in await self.search_lines([["id", "in", lines]])}
        origins = [f"sale.line,{line}" for line in lines]
        others = await self.search_moves([["origin", "in", origins], ["state", "!=", "cancelled"]])
        return {
            move.id: ordered[move.line] - sum(o.quantity for o in others if o.line == move.line and o.id != move.id)
            for move in moves
            if move.line in ordered
        }

    # -- notes

    async def has_note(self, order: Order, delivery: Delivery) -> bool:
        """Return True if the signal's note is on the order: all of its work is done then."""
        # A note has no unique key in Tryton, so the tag at its end is the only mark.
        domain = [["resource", "=", f"sale.sale,{order.id}"], ["message", "like", f"%{texts.tag(delivery)}%"]]
        return bool(await self.client.search("ir.note", domain, ["id"], 1))

    async def post_note(self, order: Order, message: str) -> None:
        """Post a note on the order."""
        await self.client.create("ir.note", {"resource": f"sale.sale,{order.id}", "message": message})

    async def noted_lines(self, lines: Collection[int]) -> set[int]:
        """Return the lines that have a note that says that they are shipped."""
        sales = sorted({line.sale for line in await self.search_lines([["id", "in", sorted(lines)]])})
        domain = [["resource", "in", [f"sale.sale,{sale}" for sale in sales]], ["message", "like", "% shipped] [%"]]
        rows = await self.client.search("ir.note", domain, ["message"])
        return {line for row in rows if (line := texts.noted_line(str(row["message"]))) is not None}


def leads_to_a_move(row: Row) -> bool:
    """Return True for a move inside the warehouse or from a supplier, before another move to the customer."""
    return str(row["origin"] or "").startswith(("stock.move,", "purchase.line,"))


def read_move(row: Row) -> Move | None:
    """Make a Move of a row; None for a shipment of another kind, such as a return."""
    shipment = read_ref(row["shipment"])
    if shipment is not None and shipment.model not in TRACKING_FIELD:
        return None
    origin = read_ref(row["origin"])
    line = origin.id if origin is not None and origin.model == "sale.line" else None
    return Move(row["id"], line, shipment, str(row["state"]), float(row["quantity"] or 0))


def read_line(row: Row) -> Line:
    """Make a Line of a row of `sale.line`."""
    product = row["product"] or {}
    return Line(
        id=row["id"],
        sale=int(row["sale"]),
        quantity=float(row["quantity"] or 0),
        stocked=product.get("type") in {"goods", "assets"},
        code=str(product.get("code") or ""),
    )


def read_shipment(model: str, row: Row) -> Shipment:
    """Make a Shipment of a row of its model."""
    return Shipment(
        ref=Ref(model, row["id"]),
        name=str(row["number"] or row["id"]),
        state=str(row["state"]),
        tracking=str(row[TRACKING_FIELD[model]] or ""),
        direct=model == OUT and row["warehouse_storage"] == row["warehouse_output"],
    )


def read_ref(value: Any) -> Ref | None:
    """Parse `stock.shipment.out,5`; None for an empty value."""
    match = re.fullmatch(r"([a-z_.]+),(\d+)", str(value or ""))
    return Ref(match[1], int(match[2])) if match else None
