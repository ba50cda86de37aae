"""Sales, shipments and notes in memory, with the state transitions that the acceptance tests measure."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]
OUT, DROP = "stock.shipment.out", "stock.shipment.drop"

TRANSITIONS = {
    OUT: {
        "wait": ({"draft", "waiting", "assigned"}, "waiting"),
        "pick": ({"assigned"}, "picked"),
        "pack": ({"picked"}, "packed"),
        "ship": ({"packed"}, "shipped"),
        "do": ({"packed", "shipped"}, "done"),
        "cancel": ({"draft", "waiting", "assigned", "picked", "packed", "shipped"}, "cancelled"),
    },
    DROP: {
        "wait": ({"draft"}, "waiting"),
        "ship": ({"waiting"}, "shipped"),
        "do": ({"shipped"}, "done"),
        "cancel": ({"draft", "waiting", "shipped"}, "cancelled"),
    },
}
"""By model and button: the states in which it may be pressed, and the next state. 7.0 says `done` for `do`."""
RIGHTS = ("sale.sale", "sale.line", "stock.move", OUT, DROP, "product.product")


class TrytonError(Exception):
    """An error of Tryton. `name` is the exception's name, "" for a server error; `told` is its message."""

    def __init__(self, name: str, *told: str) -> None:
        self.name = name
        self.told = told
        super().__init__(*told)


class TrytonModel:
    """The records. `tables` holds rows by model and id. With `rights` the user is in the groups Sales and Stock."""

    def __init__(self, series: str = "8.0", rights: bool = True) -> None:
        self.series = series
        self.rights = rights
        self.forcing = False
        self.assets = {"sale", "stock_package_shipping", "sale_supply_drop_shipment"}
        self.tables: dict[str, dict[int, Row]] = {}
        self.picks: dict[int, dict[int, float]] = {}
        self.skipped: set[str] = set()

    # -- records

    def rows(self, model: str) -> list[Row]:
        return list(self.tables.get(model, {}).values())

    def row(self, model: str, id: int) -> Row:
        return self.tables[model][id]

    def add(self, model: str, **fields: Any) -> int:
        table = self.tables.setdefault(model, {})
        id = max(table, default=0) + 1
        table[id] = {"id": id, **fields}
        return id

    def snapshot(self) -> dict[str, Any]:
        return copy.deepcopy(self.tables)

    # -- the office's work

    def sell(self, reference: str, *lines: tuple[str, float], state: str = "processing", **options: Any) -> int:
        """Make a sale of these codes and quantities. `kind` is the shipment's model, `stocked` the codes in stock."""
        sale = self.add("sale.sale", reference=reference, number="", state=state)
        self.row("sale.sale", sale)["number"] = f"S{sale:05}"
        kind = "service" if options.get("kind") == "service" else "goods"
        for code, quantity in lines:
            product = {"type": kind, "code": code}
            self.add("sale.line", sale=sale, type="line", quantity=quantity, product=product)
        if state == "processing" and kind == "goods":
            self.process(sale, options.get("kind", OUT), options.get("direct", False))
        return sale

    def process(self, sale: int, kind: str = OUT, direct: bool = False) -> None:
        """Make a shipment of everything that no shipment has yet."""
        missing = {line["id"]: self.missing(line) for line in self.rows("sale.line") if line["sale"] == sale}
        if not any(quantity > 0 for quantity in missing.values()):
            return
        field = "shipping_reference" if kind == OUT else "reference"
        places = {"warehouse_storage": 3, "warehouse_output": 3 if direct else 2} if kind == OUT else {}
        shipment = self.add(kind, number="", state="waiting", **{field: None}, **places)
        self.row(kind, shipment)["number"] = str(shipment)
        for line, quantity in missing.items():
            if quantity > 0:
                ref = f"{kind},{shipment}"
                self.add("stock.move", origin=f"sale.line,{line}", shipment=ref, state="draft", quantity=quantity)
        if kind == OUT:
            self.plan_picking(shipment)

    def missing(self, line: Row) -> float:
        moves = [move for move in self.rows("stock.move") if move["origin"] == f"sale.line,{line['id']}"]
        # A cancelled shipment waits for a person and is not replaced.
        return float(line["quantity"]) - sum(move["quantity"] for move in moves)

    def moves(self, model: str, shipment: int) -> list[Row]:
        return [move for move in self.rows("stock.move") if move["shipment"] == f"{model},{shipment}"]

    def shipments(self, sale: int) -> list[Row]:
        lines = {f"sale.line,{line['id']}" for line in self.rows("sale.line") if line["sale"] == sale}
        refs = dict.fromkeys(m["shipment"] for m in self.rows("stock.move") if m["origin"] in lines)
        return [self.row(ref.partition(",")[0], int(ref.partition(",")[2])) for ref in refs if ref]

    def notes(self, sale: int) -> list[str]:
        return [note["message"] for note in self.rows("ir.note") if note["resource"] == f"sale.sale,{sale}"]

    # -- what the sink calls

    def search(self, model: str, domain: Sequence[Any], fields: Sequence[str], limit: int | None) -> list[Row]:
        self.require(model)
        known = {"sale.sale", "sale.line", "stock.move", OUT, DROP, "ir.note", "ir.module", "res.group"}
        if model not in known:
            raise TrytonError("", f"'{model}'")
        rows = [row for row in map(self.extended, self.listed(model)) if matches(row, domain)]
        return [{"id": row["id"], **{field: pick(row, field) for field in fields}} for row in rows[:limit]]

    def listed(self, model: str) -> list[Row]:
        if model == "ir.module":
            return [{"id": n, "name": name, "state": "activated"} for n, name in enumerate(sorted(self.assets))]
        if model == "res.group":
            return [{"id": 9, "name": "Stock Force Assignment"}] if self.forcing else []
        return self.rows(model)

    def extended(self, row: Row) -> Row:
        """Return a move with the sale of its line, so that it can be searched by it."""
        origin = str(row.get("origin") or "")
        line = int(origin.partition(",")[2]) if origin.startswith("sale.line,") else 0
        return {**row, "origin.sale": self.row("sale.line", line)["sale"]} if line else row

    def create(self, model: str, values: Row) -> int:
        self.require(model)
        return self.add(model, **values)

    def write(self, model: str, id: int, values: Row) -> None:
        self.require(model)
        if unknown := [name for name in values if name not in self.row(model, id)]:
            raise TrytonError("", f"'{unknown[0]}'")
        self.row(model, id).update(values)

    def require(self, model: str) -> None:
        if model in RIGHTS and not self.rights:
            raise TrytonError("UserError", f'You are not allowed to access "{model}".')

    def access(self, models: Sequence[str]) -> Mapping[str, Mapping[str, bool]]:
        operations = ("read", "write", "create", "delete")
        return {model: dict.fromkeys(operations, self.rights or model not in RIGHTS) for model in models}

    def press(self, model: str, id: int, button: str, skipping: bool) -> None:
        self.require(model)
        row = self.row(model, id)
        if button == "assign_try" and model == OUT:
            return self.assign(row, force=False)
        if button == "assign_force" and model == OUT:
            if not self.forcing:
                raise TrytonError("UserError", 'Calling button "assign_force on "Stock Shipment Out" is not allowed.')
            return self.assign(row, force=True)
        name = "do" if button == "done" and self.series < "7.2" else button
        states, after = TRANSITIONS[model].get(name, (set(), ""))
        if model == OUT and name == "pack" and row["warehouse_storage"] == row["warehouse_output"]:
            states = {"waiting" if self.series < "7.2" else "assigned"}
        if row["state"] not in states:
            raise TrytonError("UserError", f'You can not call "{button}" on "{row["number"]}" of "{model}".')
        if name == "pack":
            self.warn(f"pack.{id}", skipping)
        row["state"] = after
        getattr(self, f"after_{name}", lambda *_: None)(model, id)
        return None

    def warn(self, name: str, skipping: bool) -> None:
        if skipping or name in self.skipped:
            self.skipped.discard(name)
            return
        raise TrytonError("UserWarning", name, "The shipment has no carrier.")

    def assign(self, row: Row, force: bool) -> None:
        wanted = [move for move in self.moves(OUT, row["id"]) if self.picks[row["id"]].get(move["id"])]
        lacking = [move for move in wanted if self.code(move).startswith("STOCKED")]
        if row["state"] == "waiting" and (force or not lacking):
            row["state"] = "assigned"

    def code(self, move: Row) -> str:
        return str(self.row("sale.line", int(move["origin"].partition(",")[2]))["product"]["code"])

    def plan_picking(self, shipment: int) -> None:
        self.picks[shipment] = {move["id"]: move["quantity"] for move in self.moves(OUT, shipment)}

    def after_wait(self, model: str, id: int) -> None:
        if model == OUT:
            self.plan_picking(id)

    def after_pick(self, model: str, id: int) -> None:
        # The picked quantities are sent, even if the moves have changed since.
        for move in self.moves(model, id):
            move["quantity"] = self.picks[id].get(move["id"], 0)

    def after_pack(self, model: str, id: int) -> None:
        for move in self.moves(model, id):
            if not move["quantity"]:
                del self.tables["stock.move"][move["id"]]

    def after_do(self, model: str, id: int) -> None:
        moves = self.moves(model, id)
        for move in moves:
            move["state"] = "done"
        lines = {int(move["origin"].partition(",")[2]) for move in moves}
        for sale in sorted({self.row("sale.line", line)["sale"] for line in lines}):
            self.process(sale)

    def after_cancel(self, model: str, id: int) -> None:
        for move in self.moves(model, id):
            move["state"] = "cancelled"


def pick(row: Row, field: str) -> Any:
    name, _, inner = field.partition(".")
    if name not in row:
        raise TrytonError("", f"'{name}'")
    return {inner: (row[name] or {}).get(inner)} if inner else row[name]


def matches(row: Row, domain: Sequence[Any]) -> bool:
    """Return True if a row is in a domain of the forms that the sink uses."""
    if domain and domain[0] == "OR":
        return any(matches(row, [clause]) for clause in domain[1:])
    return all(matches(row, clause) if clause[0] == "OR" else fits(row, *clause[:3]) for clause in domain)


def fits(row: Row, field: str, operator: str, value: Any) -> bool:
    if field not in row and "." not in field:
        raise TrytonError("", f"'{field}'")
    found = row.get(field)
    if operator == "like":
        return str(value).strip("%") in str(found)
    return {"=": found == value, "!=": found != value, "in": operator == "in" and found in value}[operator]
