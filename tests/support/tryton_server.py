"""A real Tryton, built once from PyPI in its own environment, seeded once, and restored from a copy in seconds.

Tryton is GPL. It is only a server for tests, in its own process: nothing in this project imports it.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from tests.support.process import free_port
from tests.support.tryton_inside import PASSWORD

INSIDE = Path(__file__).with_name("tryton_inside.py")
PACKAGES = ("trytond", "trytond_sale", "trytond_stock_package_shipping", "trytond_sale_supply_drop_shipment", "proteus")
MODULES = ("ir", "res", "sale", "stock_package_shipping", "sale_supply_drop_shipment")
DATABASE = "tryton"

CONFIG = """\
[database]
uri = sqlite://
path = {folder}
[web]
listen = 127.0.0.1:{port}
[session]
authentications = password
[password]
passlib = {folder}/passlib.ini
"""
PASSLIB = "[passlib]\nschemes = pbkdf2_sha512\npbkdf2_sha512__default_rounds = 1\n"


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cloudsignal-tests"


def digest(*parts: str | bytes) -> str:
    joined = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.blake2b(joined, digest_size=6).hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a build. Other processes that need it wait and find it built."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class NotInstallable(Exception):
    """Raised if PyPI has no such Tryton for this Python."""


class Build:
    """The cached environment and seeded database of a series such as "8.0"."""

    def __init__(self, series: str, cache: Path | None = None) -> None:
        self.requirements = [f"{package}=={series}.*" for package in PACKAGES]
        self.cache = cache or cache_folder()
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        self.venv = self.cache / f"trytond-{series}-{digest(python, *self.requirements)}"
        self.seed = self.cache / f"{self.venv.name}-{digest(INSIDE.read_bytes(), *MODULES)}.sqlite"

    @property
    def python(self) -> str:
        return str(self.venv / "bin" / "python")

    def ensure(self) -> None:
        """Build the missing parts. Raises NotInstallable; any later failure fails the tests."""
        with locked(self.cache / f"{self.venv.name}.lock"):
            if not (self.venv / "built").exists():
                self.install()
            if not self.seed.exists():
                self.make_seed()

    def install(self) -> None:
        shutil.rmtree(self.venv, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(self.venv)])
        pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            run([*pip, *self.requirements], timeout=300)
        except (subprocess.SubprocessError, OSError) as error:
            told = str(getattr(error, "stderr", None) or error).strip().splitlines()
            raise NotInstallable(told[-1] if told else "no reason given") from error
        (self.venv / "built").touch()

    def make_seed(self) -> None:
        folder = self.cache / f"{self.seed.stem}.making"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        config = write_config(folder, port=0)
        (folder / "password").write_text("admin" + PASSWORD)
        # Without the file Tryton would report a database of another kind.
        (folder / f"{DATABASE}.sqlite").touch()
        inside = [self.python, str(INSIDE)]
        environment = {**os.environ, "TRYTONPASSFILE": str(folder / "password")}
        run([*inside, "create", str(config), DATABASE, *MODULES], timeout=300, env=environment)
        run([*inside, "seed", str(config), DATABASE], timeout=120)
        (folder / f"{DATABASE}.sqlite").rename(self.seed)
        shutil.rmtree(folder)


def run(command: Sequence[str], timeout: float = 120, env: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=timeout, env=env)


def write_config(folder: Path, port: int) -> Path:
    (folder / "passlib.ini").write_text(PASSLIB)
    path = folder / "trytond.conf"
    path.write_text(CONFIG.format(folder=folder, port=port))
    return path


class TrytonError(Exception):
    """The server's answer to a call that a test makes itself."""


class Tryton:
    """The server on a copy of the seed in `folder`. Its methods do the work of the office, not of the sink."""

    def __init__(self, build: Build, series: str, folder: Path) -> None:
        self.series = series
        self.folder = folder
        self.build = build
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._facts: dict[str, Any] = {}

    def start(self) -> None:
        shutil.copy(self.build.seed, self.folder / f"{DATABASE}.sqlite")
        config = write_config(self.folder, self.port)
        command = [self.build.python, str(INSIDE), "serve", str(config), DATABASE]
        with (self.folder / "trytond.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self.listens():
            alive = self._process.poll() is None and time.monotonic() < deadline
            assert alive, (self.folder / "trytond.log").read_text()
            time.sleep(0.05)

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    # -- calls

    def call(self, method: str, *params: Any, user: str = "office") -> Any:
        path = f"/{DATABASE}/rpc/" if self.series >= "8" else f"/{DATABASE}/"
        credentials = base64.b64encode(f"{user}:{user}{PASSWORD}".encode()).decode()
        body = orjson.dumps({"id": 1, "method": method, "params": params})
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, body, headers), timeout=60) as answer:
            told = orjson.loads(answer.read())
        if "error" in told:
            raise TrytonError(method, told["error"])
        return told["result"]

    def search(self, model: str, domain: list[Any], *fields: str) -> list[dict[str, Any]]:
        return self.call(f"model.{model}.search_read", domain, 0, None, [["id", "ASC"]], fields, {})

    def press(self, model: str, ids: Sequence[int], button: str) -> None:
        """Press a button and skip the warnings."""
        while True:
            try:
                self.call(f"model.{model}.{button}", list(ids), {})
                return
            except TrytonError as error:
                kind, told = error.args[1]
                if kind != "UserWarning":
                    raise
                self.call("model.res.user.warning.skip", told[0], False, {})

    def ask_for_key(self, login: str) -> str:
        """Request a user application and return its key, which is not validated yet."""
        body, headers = {"user": login, "application": "rest"}, {"Content-Type": "application/json"}
        url = f"{self.url}/{DATABASE}/user/application/"
        with urllib.request.urlopen(urllib.request.Request(url, orjson.dumps(body), headers), timeout=60) as answer:
            return str(orjson.loads(answer.read()))

    # -- sales

    def facts(self) -> dict[str, Any]:
        """Return the ids that each sale needs, read once."""
        if not self._facts:
            (party,) = self.search("party.party", [["name", "=", "Customer"]], "addresses", "customer_payment_term")
            (company,) = self.search("company.company", [], "currency")
            products = self.search("product.product", [], "code", "default_uom")
            places = self.search("stock.location", [["type", "=", "warehouse"]], "name", "storage_location")
            (direct,) = (place["id"] for place in places if place["name"] == "Direct")
            (warehouse,) = (place for place in places if place["id"] != direct)
            self._facts = {
                "sale": {
                    "party": party["id"],
                    "invoice_address": party["addresses"][0],
                    "shipment_address": party["addresses"][0],
                    "payment_term": party["customer_payment_term"],
                    "currency": company["currency"],
                    "company": company["id"],
                    "warehouse": warehouse["id"],
                },
                "products": {product["code"]: product for product in products},
                "direct": direct,
                "storage": warehouse["storage_location"],
            }
        return self._facts

    def sell(self, reference: str, *lines: tuple[str, float], until: str = "confirm", **fields: Any) -> int:
        """Make a sale of these products and quantities; `until` is the last button pressed, "" for a draft."""
        return self.sell_many([reference], lines, until, **fields)[0]

    def sell_many(
        self, references: Sequence[str], lines: Sequence[tuple[str, float]], until: str = "confirm", **fields: Any
    ) -> list[int]:
        facts = self.facts()
        rows = [
            {
                "product": facts["products"][code]["id"],
                "unit": facts["products"][code]["default_uom"],
                "quantity": quantity,
                "unit_price": decimal("10"),
            }
            for code, quantity in lines
        ]
        sales = [{**facts["sale"], **fields, "reference": name, "lines": [["create", rows]]} for name in references]
        ids: list[int] = self.call("model.sale.sale.create", sales, {})
        for button in ("quote", "confirm"):
            if until:
                self.press("sale.sale", ids, button)
            if until == button:
                break
        return ids

    def lines(self, sale: int) -> list[int]:
        return [row["id"] for row in self.search("sale.line", [["sale", "=", sale]])]

    def purchase(self) -> None:
        """Order the drop shipments of sold products at the printer."""
        requests = [row["id"] for row in self.search("purchase.request", [["state", "=", "draft"]])]
        session, start, _ = self.call("wizard.purchase.request.create_purchase.create", {})
        context = {"active_model": "purchase.request", "active_ids": requests, "active_id": requests[0]}
        self.call("wizard.purchase.request.create_purchase.execute", session, {}, start, context)
        purchases = self.search("purchase.purchase", [["state", "=", "draft"]], "lines")
        lines = [line for purchase in purchases for line in purchase["lines"]]
        self.call("model.purchase.line.write", lines, {"unit_price": decimal("4")}, {})
        for button in ("quote", "confirm"):
            self.press("purchase.purchase", [purchase["id"] for purchase in purchases], button)

    def receive(self, code: str, quantity: float) -> None:
        """Put that many of a product in stock."""
        product = self.facts()["products"][code]
        (supplier,) = self.search("stock.location", [["type", "=", "supplier"]])
        move = {
            "product": product["id"],
            "unit": product["default_uom"],
            "quantity": quantity,
            "from_location": supplier["id"],
            "to_location": self.facts()["storage"],
            "company": self.facts()["sale"]["company"],
            "currency": self.facts()["sale"]["currency"],
            "unit_price": decimal("4"),
        }
        self.press("stock.move", self.call("model.stock.move.create", [move], {}), "do")

    # -- results

    def notes(self, sale: int) -> list[str]:
        return [row["message"] for row in self.search("ir.note", [["resource", "=", f"sale.sale,{sale}"]], "message")]

    def shipments(self, sale: int) -> list[dict[str, Any]]:
        """Return the sale's shipments with `tracking`, `state`, and `brings`: quantities by product."""
        moves = self.search(
            "stock.move", [["origin.sale", "=", sale, "sale.line"]], "shipment", "quantity", "product.code", "state"
        )
        found = {}
        for move in moves:
            if move["shipment"]:
                model, _, id = move["shipment"].partition(",")
                known = found.setdefault(move["shipment"], {**self.shipment(model, int(id)), "brings": {}})
                known["brings"][move["product."]["code"]] = move["quantity"]
        return list(found.values())

    def shipment(self, model: str, id: int) -> dict[str, Any]:
        field = "reference" if model.endswith("drop") else "shipping_reference"
        (row,) = self.search(model, [["id", "=", id]], "state", field)
        return {"model": model, "id": id, "state": row["state"], "tracking": row[field] or ""}

    def picture(self, sale: int) -> tuple[Any, ...]:
        """Return the order's state, without the ids that differ from order to order."""
        (row,) = self.search("sale.sale", [["id", "=", sale]], "state", "shipment_state")
        shipments = sorted(
            (each["state"], sorted(each["tracking"].split(",")), sorted(each["brings"].items()))
            for each in self.shipments(sale)
        )
        return row["state"], row["shipment_state"], shipments, sorted(map(unnamed, self.notes(sale)))


def unnamed(note: str) -> str:
    """Return a note without its signal's key, and with # for each id."""
    return re.sub(r"\b(line|item|Shipment) \d+", r"\1 #", re.sub(r"\[[0-9a-f]{32}\]", "[key]", note))


def decimal(text: str) -> dict[str, str]:
    """Return a date in the form of Tryton's JSON."""
    return {"__class__": "Decimal", "decimal": text}
