"""The methods of the fake Odoo, which behave as measured on 17 and 19. test_odoo_fake compares them with recordings.

Among the measured quirks: wizards answered with success, cancelling a delivered order, second validations,
Message-Ids that are not unique, and searches that return the newest record first.
"""

from __future__ import annotations

import html
import inspect
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from tests.support.odoo_records import FIELDS, SUBTYPES, OdooError, Records, Row, value_error

TITLES = {"sale.order": "Sales Order", "stock.picking": "Transfer", "stock.move": "Stock Move"}
ANYONE_OF_BOTH = {"inventory", "sales"}
GROUPS = {
    "sale.order": ANYONE_OF_BOTH,
    "sale.order.line": ANYONE_OF_BOTH,
    "stock.picking": ANYONE_OF_BOTH,
    "stock.move": ANYONE_OF_BOTH,
    "ir.model": {"settings"},
}
"""Groups that may read and write a model. Models not named are open to every user."""

XML_IDS = {"sales_team.group_sale_salesman_all_leads": "sales", "stock.group_stock_user": "inventory"}

OF_THE_MODEL = {
    "search": ("domain",),
    "search_read": ("domain", "fields"),
    "fields_get": ("allfields", "attributes"),
    "check_access_rights": ("operation", "raise_exception"),
    "context_get": (),
}
"""Methods that take no ids, with their first parameters."""
OLDEST_FIRST = {"stock.move", "sale.order.line", "mail.activity"}
READ_METHODS = {"read", "search", "search_read"}
OPEN = {"has_access", "check_access_rights", "has_group", "context_get", "fields_get"}


def user_error(message: str) -> OdooError:
    return OdooError(422, "odoo.exceptions.UserError", message)


def access_error(message: str) -> OdooError:
    return OdooError(403, "odoo.exceptions.AccessError", message)


class OdooModel(Records):
    """The methods over the records. `say` gets each write in words. `any_order` creates an order that is searched for.

    `wizard_after`: a validation does its work and still answers with a wizard. `wizard_instead`: it only answers with
    one. `forced` lists the moves that got more than was reserved.
    """

    def __init__(self, version: int = 19) -> None:
        super().__init__(version)
        self.say: Callable[[str], None] = lambda line: None
        self.any_order = False
        self.wizard_after = False
        self.wizard_instead = False
        self.forced: list[int] = []

    # -- calling

    def call(self, uid: int, model: str, method: str, ids: list[int] | None, params: Row) -> Any:
        """Call a method with the user's rights. Raises OdooError as Odoo does."""
        if method.startswith("_"):
            raise access_error(f"Methods that are private (such as '{model}.{method}') can't be called from afar.")
        if model not in FIELDS:
            raise OdooError(404, "werkzeug.exceptions.NotFound", f"there is no model '{model}'")
        function = getattr(self, f"do_{method}", None)
        if function is None or method not in self.methods(model):
            raise self.no_method(model, method)
        if ids and method in OF_THE_MODEL:
            raise OdooError(422, "werkzeug.exceptions.UnprocessableEntity", f"{model}.{method} takes no ids")
        if method not in OPEN:
            self.require(uid, model, "read" if method in READ_METHODS else "write")
        refuse_nul(params)
        params = dict(params)
        context = params.pop("context", {})
        missing = [number for number in ids or [] if number not in self.tables[model]]
        if missing:
            told = f"Record does not exist or has been deleted.\n(Record: {model}({missing[0]},), User: {uid})"
            raise OdooError(404, "odoo.exceptions.MissingError", told)
        try:
            bound = inspect.signature(function).bind(uid, model, ids or [], context, **params)
        except TypeError as error:
            raise OdooError(422, "werkzeug.exceptions.UnprocessableEntity", str(error)) from error
        return function(*bound.args, **bound.kwargs)

    def methods(self, model: str) -> set[str]:
        every = {"read", "search", "search_read", "write", "fields_get"}
        every.add("check_access_rights" if self.version < 18 else "has_access")
        own = {
            "sale.order": {"message_post", "activity_schedule", "action_cancel"},
            "stock.picking": {"button_validate"},
            "res.users": {"context_get", "has_group"},
        }
        return every | own.get(model, set())

    def no_method(self, model: str, method: str) -> OdooError:
        if self.version < 19:
            return OdooError(500, "builtins.AttributeError", f"type object '{model}' has no attribute '{method}'")
        return OdooError(404, "werkzeug.exceptions.NotFound", f"The method '{model}.{method}' is not there")

    def may(self, uid: int, model: str) -> bool:
        allowed = GROUPS.get(model)
        return allowed is None or bool(allowed.intersection(self.row("res.users", uid)["groups"]))

    def require(self, uid: int, model: str, operation: str) -> None:
        if not self.may(uid, model):
            title = TITLES.get(model, model)
            raise access_error(
                f"You may not {operation} '{title}' ({model}) records.\n\nGroups that may:\n\t- Inventory/User"
            )

    def do_has_access(self, uid: int, model: str, ids: list[int], context: Row, operation: str) -> bool:
        return self.may(uid, model)

    def do_check_access_rights(
        self, uid: int, model: str, ids: list[int], context: Row, operation: str, raise_exception: bool = True
    ) -> bool:
        if raise_exception:
            self.require(uid, model, operation)
        return self.may(uid, model)

    def do_has_group(self, uid: int, model: str, ids: list[int], context: Row, group_ext_id: str) -> bool:
        return XML_IDS[group_ext_id] in self.row(model, ids[0])["groups"]

    def do_context_get(self, uid: int, model: str, ids: list[int], context: Row) -> Row:
        return {"lang": "en_US", "tz": "Europe/Copenhagen", "uid": uid}

    def do_fields_get(
        self, uid: int, model: str, ids: list[int], context: Row, allfields: list[str], attributes: Any = None
    ) -> Row:
        return {name: {"type": "char"} for name in allfields if self.has_field(model, name)}

    # -- reading

    def do_read(self, uid: int, model: str, ids: list[int], context: Row, fields: list[str]) -> list[Row]:
        return [self.present(model, self.row(model, number), fields) for number in ids]

    def do_search_read(
        self,
        uid: int,
        model: str,
        ids: list[int],
        context: Row,
        domain: list[Any],
        fields: Sequence[str] = (),
        limit: int | None = None,
        order: str = "",
    ) -> list[Row]:
        for term in domain:
            self.check_path(model, term[0] if isinstance(term, list) else "id")
        found = [row for row in self.tables[model].values() if self.matches(model, row, domain)]
        if "active" in FIELDS[model]:
            found = [row for row in found if row["active"]]
        if not found and self.any_order and model == "sale.order":
            wanted = next(term[2] for term in domain if isinstance(term, list))
            found = [self.row(model, self.add_order(wanted))]
            self.say(f"new order {found[0]['name']} for {wanted}")
        field, _, direction = (order or ("id asc" if model in OLDEST_FIRST else "id desc")).partition(" ")
        found.sort(key=lambda row: row[field], reverse=direction == "desc")
        return [self.present(model, row, fields) for row in found[:limit]]

    def do_search(self, uid: int, model: str, ids: list[int], context: Row, domain: list[Any]) -> list[int]:
        return [row["id"] for row in self.do_search_read(uid, model, ids, context, domain, [])]

    # -- writing

    def do_write(self, uid: int, model: str, ids: list[int], context: Row, vals: Row) -> bool:
        for name in vals:
            if not self.has_field(model, name):
                raise value_error(f"Invalid field '{name}' in '{model}'")
        for number in ids:
            row = self.row(model, number)
            if model == "stock.move" and vals.get("quantity", 0) > row["quantity"]:
                self.forced.append(number)
            row.update(vals)
            label = row.get("name") or f"{model} {number}"
            if "carrier_tracking_ref" in vals:
                self.say(f"tracking on {self.order_of(row['sale_id'])}, {label}: {vals['carrier_tracking_ref']}")
        return True

    def do_message_post(self, uid: int, model: str, ids: list[int], context: Row, body: str, **values: Any) -> Any:
        known = {"message_id", "date", "subtype_xmlid", "message_type"}
        if extra := set(values) - known:
            raise value_error(f"Those values are not supported when posting: {', '.join(sorted(extra))}")
        check_date(values.get("date", "2026-01-01 00:00:00"), "%Y-%m-%d %H:%M:%S")
        subtype = SUBTYPES[values.pop("subtype_xmlid", "mail.mt_note")]
        escaped = f"<p>{html.escape(body, quote=False)}</p>"
        made = [self.add_message(number, escaped, subtype_id=subtype, author_id=uid, **values) for number in ids]
        self.say(f"note on {self.order_of(ids[0])}: {body}")
        return made if self.version >= 19 else made[0]

    def do_activity_schedule(
        self,
        uid: int,
        model: str,
        ids: list[int],
        context: Row,
        act_type_xmlid: str,
        summary: str,
        note: str,
        date_deadline: str = "2026-01-01",
        user_id: int | None = None,
    ) -> Any:
        check_date(date_deadline, "%Y-%m-%d")
        # 19 leaves an activity without a user if none is given.
        user = user_id or (uid if self.version < 19 else False)
        made = [
            self.add(
                "mail.activity",
                res_model=model,
                res_id=number,
                summary=summary,
                note=note,
                user_id=user,
                date_deadline=date_deadline,
            )
            for number in ids
        ]
        login = self.row("res.users", user)["login"] if user else "nobody"
        self.say(f"activity on {self.order_of(ids[0])} for {login}, due {date_deadline}: {summary}")
        return made if self.version >= 19 else f"mail.activity({made[0]},)"

    def do_action_cancel(self, uid: int, model: str, ids: list[int], context: Row) -> Any:
        if self.version >= 19 and "sales" not in self.row("res.users", uid)["groups"]:
            raise access_error("You may not cancel this order.\n\nGroups that may:\n\t- Sales/User: All Documents")
        for number in ids:
            order = self.row(model, number)
            if order["locked"]:
                raise user_error("A locked order can't be cancelled. Unlock it first.")
            if self.version < 18 and not context.get("disable_cancel_warning"):
                return wizard("sale.order.cancel", "Cancel the order?")
            self.touch(number)
            order["state"] = "cancel"  # Odoo cancels a delivered order too.
            self.cancel_transfers(number)
            self.say(f"cancelled {self.order_of(number)}")
        return True

    def do_button_validate(self, uid: int, model: str, ids: list[int], context: Row) -> Any:
        transfer = self.row(model, ids[0])
        if transfer["state"] == "done":
            if self.version >= 19:
                return True
            raise user_error("This transfer has been done already.")
        moves = [m for m in self.rows("stock.move", picking_id=transfer["id"]) if m["state"] != "cancel"]
        shipped = [m for m in moves if m["picked"] and m["quantity"]] or [m for m in moves if m["quantity"]]
        if not shipped:
            raise user_error("Nothing is reserved or done in this transfer: there is nothing to validate.")
        rest = [m for m in moves if m not in shipped]
        partial = any(m["quantity"] < m["product_uom_qty"] for m in shipped)
        if (rest or partial) and not context.get("skip_backorder"):
            return wizard("stock.backorder.confirmation", "Make a backorder?")
        texting = transfer["sale_id"] in self.phones and not context.get("skip_sms")
        if texting or self.wizard_instead:
            return wizard("confirm.stock.sms", "Tell the customer by text message?")
        self.ship(transfer, shipped, rest)
        return wizard("ir.actions.report", "Delivery slip") if self.wizard_after else True

    def ship(self, transfer: Row, shipped: list[Row], rest: list[Row]) -> None:
        """Finish the moves and create a backorder of the rest."""
        left = [dict(m, quantity=0.0) for m in shipped if m["quantity"] < m["product_uom_qty"]]
        if rest or left:
            back = self.add_transfer(transfer["sale_id"], transfer["picking_type_code"], transfer["id"])
            for move in rest:
                move["picking_id"] = back
            for move in left:
                done = self.row("stock.move", move["id"])["quantity"]
                values = {k: v for k, v in move.items() if k != "id"}
                remaining = move["product_uom_qty"] - done
                self.add("stock.move", **{**values, "product_uom_qty": remaining, "picking_id": back, "picked": False})
        for move in shipped:
            move.update(state="done", picked=True, product_uom_qty=move["quantity"])
        transfer.update(state="done", date_done="2026-11-20 10:11:12")
        self.say(f"delivered {self.order_of(transfer['sale_id'])}, {transfer['name']}: {len(shipped)} line(s)")


def wizard(model: str, title: str) -> Row:
    shown = {"res_model": model, "view_mode": "form", "views": [[939, "form"]], "view_id": 939, "target": "new"}
    return {"type": "ir.actions.act_window", "name": title, **shown, "context": {}}


def check_date(text: str, form: str) -> None:
    try:
        datetime.strptime(text, form)
    except ValueError as error:
        raise value_error(f"time data '{text}' does not match format '{form}'") from error


def refuse_nul(value: Any) -> None:
    """Raise as PostgreSQL does for a NUL in text."""
    if isinstance(value, str) and "\0" in value:
        raise value_error("A string literal cannot contain NUL (0x00) characters.")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        refuse_nul(inner)
