"""Tryton's records as the sink reads and writes them: sales, their lines, moves and shipments, notes."""

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
"""Where a shipment's tracking number stands, by its model: a drop shipment has no field for it alone."""


@dataclass(frozen=True, slots=True)
class Order:
    """A sale as found. `name` is for people."""

    id: int
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a sale; `stocked` says that it is of goods, which are shipped. `code` is its product's."""

    id: int
    sale: int
    quantity: float
    stocked: bool
    code: str


@dataclass(frozen=True, slots=True)
class Ref:
    """Names a shipment, as Tryton's `stock.shipment.out,5` does."""

    model: str
    id: int

    def __str__(self) -> str:
        return f"{self.model},{self.id}"


@dataclass(frozen=True, slots=True)
class Move:
    """A stock move to the customer. `line` is None where it is of no sale, `shipment` where it has none yet."""

    id: int
    line: int | None
    shipment: Ref | None
    state: str
    quantity: float

    @property
    def live(self) -> bool:
        return self.state != "cancelled" and self.shipment is not None


@dataclass(frozen=True, slots=True)
class Shipment:
    """`tracking` is its numbers, comma-joined. `direct`: shipped from where it is stored, so never picked."""

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
        """The sales, two at the most, of which one of the fields is the reference."""
        domain = ["OR", *([field, "=", reference] for field in fields)]
        rows = await self.client.search("sale.sale", domain, ["number", "state"], 2)
        return [Order(row["id"], str(row["number"] or reference), str(row["state"])) for row in rows]

    async def lines(self, order: Order) -> list[Line]:
        return await self.search_lines([["sale", "=", order.id]])

    async def search_lines(self, domain: Sequence[Any]) -> list[Line]:
        """Lines of products; titles, comments and returns are none."""
        wanted = ["sale", "quantity", "product.type", "product.code"]
        rows = await self.client.search("sale.line", [["type", "=", "line"], *domain], wanted)
        return [read_line(row) for row in rows if (row["quantity"] or 0) >= 0]

    async def moves(self, order: Order) -> list[Move]:
        """The moves of the order's lines, those of cancelled shipments too."""
        return await self.search_moves([["origin.sale", "=", order.id, "sale.line"]])

    async def search_moves(self, domain: Sequence[Any]) -> list[Move]:
        """Moves to a customer, in the order of their making."""
        rows = await self.client.search("stock.move", domain, ["origin", "shipment", "state", "quantity"])
        moves = [read_move(row) for row in rows if not leads_to_a_move(row)]
        return sorted((move for move in moves if move is not None), key=lambda move: move.id)

    # -- shipments

    async def shipments(self, refs: Collection[Ref]) -> list[Shipment]:
        """The shipments, in the order of their making."""
        found: list[Shipment] = []
        for model in sorted({ref.model for ref in refs}, reverse=True):
            wanted = ["number", "state", TRACKING_FIELD[model]]
            wanted += ["warehouse_storage", "warehouse_output"] if model == OUT else []
            ids = sorted(ref.id for ref in refs if ref.model == model)
            rows = await self.client.search(model, [["id", "in", ids]], wanted)
            found += sorted((read_shipment(model, row) for row in rows), key=lambda shipment: shipment.ref.id)
        return found

    async def state(self, ref: Ref) -> str:
        rows = await self.client.search(ref.model, [["id", "=", ref.id]], ["state"])
        return str(rows[0]["state"]) if rows else "deleted"

    async def content(self, ref: Ref) -> list[Move]:
        """What the shipment brings to the customer, for this order and others."""
        return await self.search_moves([["shipment", "=", str(ref)], ["state", "!=", "cancelled"]])

    async def set_tracking(self, ref: Ref, numbers: str) -> None:
        await self.client.write(ref.model, ref.id, {TRACKING_FIELD[ref.model]: numbers})

    async def set_quantity(self, move: Move, quantity: float) -> None:
        await self.client.write("stock.move", move.id, {"quantity": quantity})

    async def press(self, ref: Ref, button: str) -> None:
        """Ask for a shipment's next state. A success proves nothing: read the state again."""
        await self.client.press(ref.model, ref.id, button)

    async def unshipped(self, moves: Collection[Move]) -> dict[int, float]:
        """By move: what is still to be shipped of its line, beside what the line's other moves bring."""
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
        """Whether the signal's note is there: all of its work is done then."""
        domain = [["resource", "=", f"sale.sale,{order.id}"], ["message", "like", f"%{texts.tag(delivery)}%"]]
        return bool(await self.client.search("ir.note", domain, ["id"], 1))

    async def post_note(self, order: Order, message: str) -> None:
        await self.client.create("ir.note", {"resource": f"sale.sale,{order.id}", "message": message})

    async def noted_lines(self, lines: Collection[int]) -> set[int]:
        """Which of the lines have a note that says that they are shipped."""
        sales = sorted({line.sale for line in await self.search_lines([["id", "in", sorted(lines)]])})
        domain = [["resource", "in", [f"sale.sale,{sale}" for sale in sales]], ["message", "like", "% shipped] [%"]]
        rows = await self.client.search("ir.note", domain, ["message"])
        return {line for row in rows if (line := texts.noted_line(str(row["message"]))) is not None}


def leads_to_a_move(row: Row) -> bool:
    """Whether it only brings goods to the output, or from a supplier, for another move to the customer."""
    return str(row["origin"] or "").startswith(("stock.move,", "purchase.line,"))


def read_move(row: Row) -> Move | None:
    """None for the move of a shipment of another kind, such as a return."""
    shipment = read_ref(row["shipment"])
    if shipment is not None and shipment.model not in TRACKING_FIELD:
        return None
    origin = read_ref(row["origin"])
    line = origin.id if origin is not None and origin.model == "sale.line" else None
    return Move(row["id"], line, shipment, str(row["state"]), float(row["quantity"] or 0))


def read_line(row: Row) -> Line:
    product = row["product"] or {}
    return Line(
        id=row["id"],
        sale=int(row["sale"]),
        quantity=float(row["quantity"] or 0),
        stocked=product.get("type") in {"goods", "assets"},
        code=str(product.get("code") or ""),
    )


def read_shipment(model: str, row: Row) -> Shipment:
    return Shipment(
        ref=Ref(model, row["id"]),
        name=str(row["number"] or row["id"]),
        state=str(row["state"]),
        tracking=str(row[TRACKING_FIELD[model]] or ""),
        direct=model == OUT and row["warehouse_storage"] == row["warehouse_output"],
    )


def read_ref(value: Any) -> Ref | None:
    """`stock.shipment.out,5`; None where there is none."""
    match = re.fullmatch(r"([a-z_.]+),(\d+)", str(value or ""))
    return Ref(match[1], int(match[2])) if match else None
