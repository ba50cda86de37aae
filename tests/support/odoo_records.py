"""Odoo's records in memory: tables, orders for tests, search domains and the fields of a row."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

Row = dict[str, Any]

FIELDS: dict[str, dict[str, str]] = {
    "res.users": {"login": "char", "name": "char", "groups": "list", "active": "bool"},
    "res.users.apikeys": {"user_id": "res.users", "name": "char", "expiration_date": "char"},
    "product.product": {"name": "char", "default_code": "char"},
    "sale.order": {
        "name": "char",
        "client_order_ref": "char",
        "state": "char",
        "locked": "bool",
        "user_id": "res.users",
        "order_line": "list",
        "picking_ids": "list",
        "delivery_status": "char",
        "write_date": "char",
    },
    "sale.order.line": {"order_id": "sale.order", "product_id": "product.product", "product_uom_qty": "float"},
    "stock.picking": {
        "name": "char",
        "state": "char",
        "carrier_tracking_ref": "char",
        "picking_type_code": "char",
        "backorder_id": "stock.picking",
        "sale_id": "sale.order",
        "carrier_tracking_url": "char",
        "carrier_id": "char",
        "date_done": "char",
    },
    "stock.move": {
        "product_id": "product.product",
        "sale_line_id": "sale.order.line",
        "picking_id": "stock.picking",
        "product_uom_qty": "float",
        "quantity": "float",
        "picked": "bool",
        "state": "char",
    },
    "mail.message": {
        "message_id": "char",
        "model": "char",
        "res_id": "int",
        "body": "char",
        "date": "char",
        "message_type": "char",
        "subtype_id": "mail.message.subtype",
        "author_id": "res.users",
        "is_internal": "bool",
    },
    "mail.message.subtype": {"name": "char"},
    "ir.model": {"name": "char"},
    "mail.activity": {
        "res_model": "char",
        "res_id": "int",
        "summary": "char",
        "note": "char",
        "activity_type_id": "char",
        "user_id": "res.users",
        "create_uid": "res.users",
        "date_deadline": "char",
    },
}

SUBTYPES = {"mail.mt_comment": 1, "mail.mt_note": 2}


class OdooError(Exception):
    """An error that a method raises: the HTTP status of JSON-2, the exception's name and its message."""

    def __init__(self, status: int, name: str, message: str) -> None:
        self.status = status
        self.name = name
        super().__init__(message)


def value_error(message: str) -> OdooError:
    return OdooError(500, "builtins.ValueError", message)


class Records:
    """The records. `tables` maps a model to its rows by id. Without `delivery_module` there is no tracking field."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.tables: dict[str, dict[int, Row]] = {model: {} for model in FIELDS}
        self.delivery_module = True
        self.phones: set[int] = set()
        self._ids = {model: itertools.count(1) for model in FIELDS}
        self._names: dict[str, Any] = {}
        self._start = datetime(2026, 11, 20)
        self._changes = itertools.count(1)
        self.robot = self.add("res.users", login="__system__", name="OdooBot", groups=[])
        self.admin = self.add_user("admin", ["sales", "inventory"], name="Administrator")
        self.seller = self.add_user("seller", ["sales"], name="Sam Seller")
        for name in ("Discussions", "Note"):
            self.add("mail.message.subtype", name=name)

    # -- making records

    def add(self, model: str, /, **values: Any) -> int:
        """Add a record and return its id. Fields not given are false, as in Odoo."""
        number = next(self._ids[model])
        self.tables[model][number] = {"id": number, **dict.fromkeys(FIELDS[model], False), **values}
        return number

    def add_user(self, login: str, groups: Iterable[str] = ("inventory",), name: str = "") -> int:
        """Add a user. Groups are `inventory` (Inventory/User) and `sales` (Sales/User: All Documents)."""
        return self.add("res.users", login=login, name=name or login, groups=list(groups), active=True)

    def add_order(
        self,
        reference: str,
        lines: Iterable[float] = (1.0,),
        *,
        state: str = "sale",
        locked: bool = False,
        salesperson: int | bool = True,
        codes: Iterable[str] = (),
        kinds: Iterable[str] = (),
        reserved: Iterable[float] = (),
        stocked: bool = True,
        phone: bool = False,
    ) -> int:
        """Add an order with one line per quantity. If it is confirmed, its lines are in one transfer per kind.

        `codes` are the products' internal references; `kinds` are the transfers' types, outgoing by default.
        `reserved` are the quantities set aside, all by default. Without `stocked` the order is of services and has no
        transfer. If the customer has a `phone`, a validation offers to send a text message.
        """
        seller = self.seller if salesperson is True else salesperson
        order = self.add("sale.order", client_order_ref=reference, state=state, locked=locked, user_id=seller)
        self.row("sale.order", order)["name"] = f"S{order:05d}"
        self.touch(order)
        if phone:
            self.phones.add(order)
        self.add_message(order, "<p>Order made</p>", author_id=self.robot, is_internal=True)
        transfers: dict[str, int] = {}
        for (number, quantity), code, kind, ready in zip(
            enumerate(lines, 1), pad(codes), pad(kinds, "outgoing"), pad(reserved), strict=False
        ):
            product = self.add("product.product", name=f"Photo book {number}", default_code=code or f"POD-{number}")
            line = self.add("sale.order.line", order_id=order, product_id=product, product_uom_qty=quantity)
            if not stocked or state in {"draft", "sent"}:
                continue
            if kind not in transfers:
                transfers[kind] = self.add_transfer(order, kind)
            aside = quantity if ready is None else ready
            self.add(
                "stock.move",
                sale_line_id=line,
                product_id=product,
                picking_id=transfers[kind],
                product_uom_qty=quantity,
                quantity=aside,
                state="assigned" if aside == quantity else "confirmed",
            )
        if state == "cancel":
            self.cancel_transfers(order)
        return order

    def touch(self, order: int) -> None:
        """Set the order's time of change, a second after the last one."""
        self.row("sale.order", order)["write_date"] = str(self._start + timedelta(seconds=next(self._changes)))

    def add_transfer(self, order: int, kind: str, backorder: int | bool = False) -> int:
        prefix = {"outgoing": "WH/OUT", "dropship": "DS"}.get(kind, "WH/PICK")
        count = self._names.setdefault(prefix, itertools.count(1))
        return self.add(
            "stock.picking",
            name=f"{prefix}/{next(count):05d}",
            state="assigned",
            picking_type_code=kind,
            backorder_id=backorder,
            sale_id=order,
        )

    def add_message(self, order: int, body: str, **values: Any) -> int:
        kind = {"message_type": "notification", "subtype_id": SUBTYPES["mail.mt_note"]}
        return self.add("mail.message", model="sale.order", res_id=order, body=body, **{**kind, **values})

    # -- looking

    def row(self, model: str, number: int) -> Row:
        return self.tables[model][number]

    def rows(self, model: str, /, **equal: Any) -> list[Row]:
        """Return the rows with these values, oldest first."""
        return [row for row in self.tables[model].values() if all(row[k] == v for k, v in equal.items())]

    def notes(self, order: int) -> list[Row]:
        """Return the posted messages, without Odoo's own notice that the order was made."""
        return self.rows("mail.message", model="sale.order", res_id=order, message_type="comment")

    def activities(self, order: int) -> list[Row]:
        return self.rows("mail.activity", res_model="sale.order", res_id=order)

    def transfers(self, order: int) -> list[Row]:
        return self.rows("stock.picking", sale_id=order)

    def moves(self, order: int) -> list[Row]:
        return [
            move for move in self.rows("stock.move") if self.value("stock.move", move, "sale_line_id.order_id") == order
        ]

    def snapshot(self) -> dict[str, list[Row]]:
        """Return all records, for a comparison."""
        return {model: [dict(row) for row in rows.values()] for model, rows in self.tables.items()}

    def cancel_transfers(self, order: int) -> None:
        for row in [*self.transfers(order), *self.moves(order)]:
            if row["state"] != "done":
                row["state"] = "cancel"

    def order_of(self, number: int) -> str:
        order = self.row("sale.order", number)
        return order["client_order_ref"] or order["name"]

    # -- fields and domains

    def has_field(self, model: str, name: str) -> bool:
        if name == "carrier_tracking_ref" and not self.delivery_module:
            return False
        if name == "expiration_date" and self.version < 18:
            return False
        return name == "id" or name in FIELDS[model]

    def present(self, model: str, row: Row, fields: list[str]) -> Row:
        """Return a row as Odoo answers it: many2one fields as [id, name]."""
        shown: Row = {"id": row["id"]}
        for name in fields:
            if not self.has_field(model, name):
                raise value_error(f"Invalid field '{name}' on '{model}'")
            value = self.value(model, row, name)
            if FIELDS[model].get(name) == "float":
                value = float(value)
            related = FIELDS[model].get(name, "")
            if related in FIELDS and value:
                target = self.row(related, value)
                value = [value, target.get("name") or f"{related},{value}"]
            shown[name] = value
        return shown

    def check_path(self, model: str, path: str) -> None:
        """Refuse a dotted path with a field that does not exist."""
        name, _, rest = path.partition(".")
        if not self.has_field(model, name):
            raise value_error(f"Invalid field {model}.{name} in condition")
        if rest:
            self.check_path(FIELDS[model][name], rest)

    def value(self, model: str, row: Row, path: str) -> Any:
        """Return a field's raw value along a dotted path."""
        name, _, rest = path.partition(".")
        if model == "sale.order" and name == "order_line":
            return [line["id"] for line in self.rows("sale.order.line", order_id=row["id"])]
        if model == "sale.order" and name == "picking_ids":
            return [transfer["id"] for transfer in reversed(self.transfers(row["id"]))]
        if model == "sale.order" and name == "delivery_status":
            states = {move["state"] for move in self.moves(row["id"])}
            return {frozenset({"done"}): "full", frozenset(): False}.get(frozenset(states), "pending")
        value = row[name]
        if not rest:
            return value
        related = FIELDS[model][name]
        return self.value(related, self.row(related, value), rest) if value else False

    def matches(self, model: str, row: Row, domain: list[Any]) -> bool:
        """Return True if a row is in a domain: Polish notation, `&` between terms without an operator."""
        stack: list[bool] = []
        for term in reversed(domain):
            if term in ("|", "&"):
                first, second = stack.pop(), stack.pop()
                stack.append(first or second if term == "|" else first and second)
            elif term == "!":
                stack.append(not stack.pop())
            else:
                stack.append(compare(self.value(model, row, term[0]), term[1], term[2]))
        return all(stack)


def pad(values: Iterable[Any], rest: Any = None) -> Iterable[Any]:
    return itertools.chain(values, itertools.repeat(rest))


def compare(value: Any, operator: str, wanted: Any) -> bool:
    if operator == "in":
        return value in wanted
    if operator == "like":
        return isinstance(value, str) and wanted.strip("%") in value
    return {"=": value == wanted, "!=": value != wanted}[operator]
