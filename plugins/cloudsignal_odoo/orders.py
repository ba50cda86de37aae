"""Reads and writes Odoo's records: orders, lines, moves, transfers, notes, activities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudsignal_odoo import texts
from cloudsignal_odoo.client import AttemptClient
from gateway.sink import Delivery, Permanent, note_prefix, signal_types

OUTGOING_TYPES = ["outgoing", "dropship"]
"""Types of a transfer to the customer."""


@dataclass(frozen=True, slots=True)
class Order:
    """A sales order as read. `salesperson` is a user's id."""

    id: int
    name: str
    state: str
    locked: bool
    salesperson: int | None
    lines: tuple[int, ...]
    transfers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """An outgoing stock move: `ordered` is the demand, `reserved` the quantity set aside or shipped."""

    id: int
    line: int
    transfer: int
    done: bool
    picked: bool
    ordered: float
    reserved: float


class Orders:
    """Each method is one or two calls of Odoo."""

    def __init__(self, client: AttemptClient) -> None:
        self.client = client

    async def find(self, fields: Sequence[str], reference: str) -> list[Order]:
        """Return at most two orders that have the reference in one of the fields.

        Cancelled orders are returned only if there are no others, the one that was changed last first.
        """
        # Domains are in Polish notation: one "|" fewer than there are terms.
        domain: list[Any] = ["|"] * (len(fields) - 1)
        domain += [[field, "=", reference] for field in fields]
        alive = await self.search([*domain, ["state", "!=", "cancel"]])
        return alive or await self.search(domain, order="write_date desc")

    async def search(self, domain: Sequence[Any], **how: Any) -> list[Order]:
        """Return at most two orders of a domain."""
        wanted = ["name", "state", "user_id", "picking_ids", "order_line", "locked"]
        rows = await self.client.call("sale.order", "search_read", domain=domain, fields=wanted, limit=2, **how)
        return [read_order(row) for row in rows]

    async def state(self, order: Order) -> str:
        """Return the order's state as it is now."""
        rows = await self.client.call("sale.order", "read", [order.id], fields=["state"])
        return str(rows[0]["state"])

    async def find_lines(self, order: Order, code: str) -> list[int]:
        """Return the ids of at most two of the order's lines with a product of that internal reference."""
        domain = [["order_id", "=", order.id], ["product_id.default_code", "=", code]]
        rows = await self.client.call("sale.order.line", "search_read", domain=domain, fields=["id"], limit=2)
        return [row["id"] for row in rows]

    async def moves(self, order: Order) -> list[Move]:
        """Return the order's outgoing moves that are not cancelled, oldest first."""
        domain = [
            ["sale_line_id.order_id", "=", order.id],
            ["picking_id.picking_type_code", "in", OUTGOING_TYPES],
            ["state", "!=", "cancel"],
        ]
        wanted = ["state", "product_uom_qty", "quantity", "picked", "picking_id", "sale_line_id"]
        rows = await self.client.call("stock.move", "search_read", domain=domain, fields=wanted)
        return sorted((read_move(row) for row in rows), key=lambda move: move.id)

    async def is_shipped(self, order: Order) -> bool:
        """Return True if an item is on its way: a transfer is done or has a tracking number, or a note says so.

        The note is needed: without `mark_delivered` no transfer becomes done, and an order of services has none.
        """
        sent = ["|", ["state", "=", "done"], ["carrier_tracking_ref", "!=", False]]
        domain: list[Any] = [["id", "in", list(order.transfers)], *sent]
        if await self.client.call("stock.picking", "search_read", domain=domain, fields=["id"], limit=1):
            return True
        domain = [
            ["model", "=", "sale.order"],
            ["res_id", "=", order.id],
            ["message_id", "like", texts.MESSAGE_DOMAIN],
            ["body", "like", note_prefix(signal_types.ITEM_SHIPPED)],
        ]
        return bool(await self.client.call("mail.message", "search_read", domain=domain, fields=["id"], limit=1))

    async def tracking(self, transfers: Sequence[int]) -> dict[int, str]:
        """Return the tracking numbers of each transfer, joined by commas."""
        rows = await self.client.call("stock.picking", "read", transfers, fields=["carrier_tracking_ref"])
        return {row["id"]: row["carrier_tracking_ref"] or "" for row in rows}

    async def set_tracking(self, transfer: int, numbers: str) -> None:
        """Replace a transfer's tracking numbers."""
        await self.client.call("stock.picking", "write", [transfer], vals={"carrier_tracking_ref": numbers})

    async def pick(self, move: Move) -> None:
        """Mark a move as picked in full."""
        await self.client.call("stock.move", "write", [move.id], vals={"quantity": move.ordered, "picked": True})

    async def validate(self, transfer: int) -> str:
        """Ship the picked moves and leave the rest to a backorder. Return the wizard that Odoo answered with, or "".

        Read the moves again afterwards: with or without a wizard, the transfer may be done or not.
        """
        # Otherwise Odoo asks, by a wizard, about a backorder or about a text message to a customer with a phone.
        context = {"skip_backorder": True, "skip_sms": True}
        answer = await self.client.call("stock.picking", "button_validate", [transfer], context=context)
        return str(answer.get("res_model") or "another step") if isinstance(answer, Mapping) else ""

    async def all_done(self, moves: Sequence[int]) -> bool:
        """Return True if all of the moves are done."""
        rows = await self.client.call("stock.move", "read", moves, fields=["state"])
        return all(row["state"] == "done" for row in rows)

    async def cancel(self, order: Order) -> None:
        """Cancel the order."""
        # Without the context, Odoo 17 answers with a wizard and cancels nothing.
        await self.client.call("sale.order", "action_cancel", [order.id], context={"disable_cancel_warning": True})

    async def has_note(self, order: Order, delivery: Delivery) -> bool:
        """Return True if the signal's note is on the order: all of its work is done then."""
        # Odoo does not keep a Message-Id unique, and an earlier attempt may have used another order.
        domain = [
            ["message_id", "=", texts.message_id(delivery)],
            ["model", "=", "sale.order"],
            ["res_id", "=", order.id],
        ]
        rows = await self.client.call("mail.message", "search_read", domain=domain, fields=["id"], limit=1)
        return bool(rows)

    async def post_note(self, order: Order, delivery: Delivery, body: str) -> None:
        """Post an internal note in plain text."""
        await self.client.call(
            "sale.order",
            "message_post",
            [order.id],
            body=body,
            message_id=texts.message_id(delivery),
            date=texts.odoo_time(delivery.signal.at),
            subtype_xmlid="mail.mt_note",  # an internal note; mail.mt_comment would be mailed to followers
            message_type="comment",
        )

    async def has_activity(self, order: Order, delivery: Delivery) -> bool:
        """Return True if the signal's activity is on the order."""
        domain = [
            ["res_model", "=", "sale.order"],
            ["res_id", "=", order.id],
            ["summary", "like", texts.tag(delivery)],
        ]
        rows = await self.client.call("mail.activity", "search_read", domain=domain, fields=["id"], limit=1)
        return bool(rows)

    async def add_activity(self, order: Order, delivery: Delivery, body: str, user: int | None, now: float) -> None:
        """Schedule a warning for the user, without one for the user of the API key."""
        # Odoo 17 would choose the key's user by itself, but 19 leaves the activity without a user.
        assignee = user or await self.client.user_id()
        await self.client.call(
            "sale.order",
            "activity_schedule",
            [order.id],
            act_type_xmlid="mail.mail_activity_data_warning",
            summary=texts.summary(delivery),
            note=body,
            date_deadline=texts.due_on(delivery.signal, now).isoformat(),
            user_id=assignee,
        )


def read_order(row: Mapping[str, Any]) -> Order:
    """Make an Order of a row of `sale.order`."""
    return Order(
        id=row["id"],
        name=row["name"],
        state=row["state"],
        locked=bool(row["locked"]),
        salesperson=many2one(row["user_id"]),
        lines=tuple(row["order_line"]),
        transfers=tuple(row["picking_ids"]),
    )


def read_move(row: Mapping[str, Any]) -> Move:
    """Make a Move of a row of `stock.move`. Raises Permanent if it belongs to no sale or no transfer."""
    line, transfer = many2one(row["sale_line_id"]), many2one(row["picking_id"])
    if line is None or transfer is None:
        raise Permanent(f"stock move {row['id']} has no sales line or no transfer")
    return Move(
        id=row["id"],
        line=line,
        transfer=transfer,
        done=row["state"] == "done",
        picked=bool(row["picked"]),
        ordered=float(row["product_uom_qty"]),
        reserved=float(row["quantity"]),
    )


def many2one(value: Any) -> int | None:
    """Return the id in `[id, name]`, None for false."""
    return int(value[0]) if value else None
