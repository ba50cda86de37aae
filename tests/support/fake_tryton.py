"""A fake Tryton with records in memory. It speaks REST (8.0) and JSON-RPC (all versions)."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs

import orjson

from tests.support.stub import Answer, InterruptibleStub, Request
from tests.support.tryton_model import Row, TrytonError, TrytonModel

DATABASE, USER = "demo", "gateway"
KEY = "tryton-key-45c48cce2e2d7fbd"
PASSWORD = "tryton-password-6f4922f45568161a"
PAGE = "<!doctype html>\n<html lang=en>\n<title>{0} {1}</title>\n<h1>{1}</h1>\n<p>{2}</p>\n"
UNAUTHORIZED = Answer(401, "", {"WWW-Authenticate": 'Basic realm="Tryton"'})
"""The answer of JSON-RPC to a wrong password, and of 7.0 to a path that it takes for another database."""
NO_METHOD = "Unable to get RPC method"


class FakeTryton(InterruptibleStub):
    """A server whose `tryton` holds the records."""

    def __init__(self, series: str = "8.0", rights: bool = True) -> None:
        super().__init__()
        self.tryton = TrytonModel(series, rights)

    # -- serving

    def calls(self) -> list[str]:
        """Return `model/method` of each call received, over either transport."""
        return [named(request) for request in self.requests]

    def answer(self, request: Request) -> Answer:
        modern = self.tryton.series >= "8"
        if request.method == "POST" and request.path in {"/rpc/", "/"}:
            if (request.path == "/rpc/") == modern:
                return Answer(200, {"id": request.json["id"], "result": self.version})
            return page(405, "Method Not Allowed") if modern else UNAUTHORIZED
        if modern and request.path.startswith(f"/{DATABASE}/rest/model/"):
            return self.answer_rest(request)
        if request.path == f"/{DATABASE}/" + ("rpc/" if modern else ""):
            return self.answer_rpc(request)
        return page(404, "Not Found")

    @property
    def version(self) -> str:
        return self.tryton.series if self.tryton.series >= "8" else f"{self.tryton.series}.59"

    # -- REST

    def answer_rest(self, request: Request) -> Answer:
        if request.headers.get("Authorization") != f"bearer {KEY}":
            return page(401, "Unauthorized")
        try:
            return Answer(200, self.serve_rest(request))
        except KeyError:
            return page(404, "Not Found")
        except TrytonError as error:
            if error.name:
                return Answer(400, {"status": 400, "message": error.told[-1], "description": ""})
            # After a server error Tryton looks for a method's name in the JSON body, and fails again.
            return page(400, NO_METHOD) if request.body else page(500, error.told[0])

    def serve_rest(self, request: Request) -> Any:
        words = request.path.split("/")[4:]
        body = request.json if request.body else {}
        match request.method, words:
            case "GET", [model]:
                query = parse_qs(request.query)
                limit = int(query["s"][0]) if "s" in query else None
                found = self.tryton.search(model, decode(query["d"][0]), query["f"], limit)
                return [{"__name__": model, **nested(row)} for row in found]
            case "POST", [model]:
                return record(model, self.tryton.create(model, body))
            case "POST", [model, method] if method in {"get_access", "get_preferences"}:
                return self.ask(method, *body.values())
            case "PUT", [model, id]:
                self.tryton.write(model, int(id), body)
                return record(model, int(id))
            case "POST", [model, id, button]:
                context = decode(request.headers.get("X-Tryton-Context", "e30="))
                self.tryton.press(model, int(id), button, bool(context.get("_skip_warnings")))
                return record(model, int(id))
        raise KeyError(request.path)

    # -- JSON-RPC

    def answer_rpc(self, request: Request) -> Answer:
        """Answer with status 200, also for an error, if the password is right."""
        credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {credentials}":
            return UNAUTHORIZED
        body = request.json
        assert set(body) == {"id", "method", "params"}
        model, _, method = body["method"].removeprefix("model.").rpartition(".")
        try:
            return Answer(200, {"id": body["id"], "result": self.serve_rpc(model, method, *body["params"][:-1])})
        except TrytonError as error:
            told = [error.name, [*error.told, "", None]] if error.name else [error.told[0], ""]
            return Answer(200, {"id": body["id"], "error": told})

    def serve_rpc(self, model: str, method: str, *params: Any) -> Any:
        match method, params:
            case "search_read", [domain, _, limit, _, fields]:
                return [dotted(row) for row in self.tryton.search(model, domain, fields, limit)]
            case "create", [rows]:
                return [self.tryton.create(model, row) for row in rows]
            case "write", [[id], values]:
                return self.tryton.write(model, id, values)
            case "skip", [name, _]:
                return self.tryton.skipped.add(name)
            case "get_access" | "get_preferences", _:
                return self.ask(method, *params)
            case button, [[id]]:
                return self.tryton.press(model, id, button, skipping=False)
        raise TrytonError("", f"'{method}'")

    def ask(self, method: str, argument: Any) -> Any:
        if method == "get_access":
            return self.tryton.access(argument)
        return {"name": USER, "companies": [1], "groups": [1, 2]}


def dotted(row: Row) -> Row:
    """Convert a row to the form of JSON-RPC: `product.code` becomes `{"product": 1, "product.": {"code": …}}`."""
    fields: Row = {}
    for name, value in row.items():
        base, _, inner = name.partition(".")
        fields |= {f"{base}.": {**fields.get(f"{base}.", {}), **value}} if inner else {base: value}
    return fields


def nested(row: Row) -> Row:
    """Convert a row to the form of REST."""
    return {name.rstrip("."): value for name, value in dotted(row).items()}


def record(model: str, id: int) -> Row:
    """Return REST's answer to a write: the record without its fields."""
    return {"__name__": model, "id": id, "rec_name": str(id)}


def decode(text: str) -> Any:
    return orjson.loads(base64.urlsafe_b64decode(text))


def named(request: Request) -> str:
    if "/rest/model/" in request.path:
        words = request.path.partition("/rest/model/")[2].split("/")
        default = {"GET": "search", "PUT": "write", "POST": "create"}[request.method]
        return f"{words[0]}/{words[-1] if len(words) > 1 and request.method == 'POST' else default}"
    model, _, method = str(request.json["method"]).removeprefix("model.").rpartition(".")
    return f"{model}/{method.replace('search_read', 'search')}"


def page(status: int, text: str) -> Answer:
    """Return an error page as werkzeug writes it."""
    return Answer(status, PAGE.format(status, "Error", text))
