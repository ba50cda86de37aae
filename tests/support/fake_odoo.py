"""A fake Odoo with records in memory. It speaks JSON-2 (19) and JSON-RPC (all versions). To watch the sink by hand:

python -m tests.support.fake_odoo --port 8069 --any-order
"""

from __future__ import annotations

import argparse
from typing import Any

import orjson

from tests.support.odoo_model import OF_THE_MODEL, OdooModel
from tests.support.odoo_records import OdooError, Row
from tests.support.stub import LOST, Answer, InterruptibleStub, Request, run_until_interrupted

DATABASE = "demo"
LOGIN = "gateway"
KEY = "odoo-key-8f14e45fceea167a"


class FakeOdoo(InterruptibleStub):
    """`odoo` holds the records; `keys` maps API keys to users. The user of KEY is in `groups`.

    `database_down` answers as Odoo does while PostgreSQL is away. `late` keeps requests that `commit_late` commits
    after their client has given up.
    """

    def __init__(self, version: int = 19, key: str = KEY, groups: tuple[str, ...] = ("inventory",)) -> None:
        super().__init__()
        self.odoo = OdooModel(version)
        self.key = key
        self.keys: dict[str, int] = {}
        self.user = self.odoo.add_user(LOGIN, groups)
        self.add_key(self.user, key)
        self.database_down = False
        self.late: list[Request] = []

    def add_key(self, user: int, key: str, expires: str | bool = False) -> None:
        """Add an API key; `expires` is a time as `YYYY-MM-DD HH:MM:SS`."""
        self.odoo.add("res.users.apikeys", user_id=user, name="gateway", expiration_date=expires)
        self.keys[key] = user

    # -- faults for a test to line up

    async def delay(self, request: Request) -> Answer:
        """Lose the answer now, do the work at `commit_late`."""
        self.late.append(request)
        return LOST

    def commit_late(self) -> None:
        while self.late:
            self.answer(self.late.pop(0))

    # -- serving

    def calls(self) -> list[str]:
        """Return `model/method` of each call received, over either transport."""
        return [f"{model}/{method}" for model, method in filter(None, map(named, self.requests))]

    def answer(self, request: Request) -> Answer:
        if request.path == "/web/version" and self.odoo.version >= 19:
            return Answer(200, {"version_info": [self.odoo.version, 0, 0, "final", 0, ""], "version": self.text})
        if request.path == "/jsonrpc" and request.method == "POST":
            return self.answer_rpc(request.json)
        if request.path.startswith("/json/2/") and self.odoo.version >= 19:
            return self.answer_json2(request)
        return page(404, "Not Found")

    @property
    def text(self) -> str:
        return f"{self.odoo.version}.0"

    def answer_json2(self, request: Request) -> Answer:
        """Answer `/json/2/<model>/<method>`. As in Odoo, the database may be left out if there is only one."""
        if self.database_down or request.headers.get("X-Odoo-Database", DATABASE) != DATABASE:
            return page(404, "No database is selected.")
        try:
            scheme, _, key = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or key not in self.keys:
                raise OdooError(401, "werkzeug.exceptions.Unauthorized", "That API key is not valid")
            model, method = request.path.split("/")[3:5]
            params = parse(request.body)
            ids = params.pop("ids", None)
            return Answer(200, self.odoo.call(self.keys[key], model, method, ids, params))
        except OdooError as error:
            return Answer(error.status, account(error))

    def answer_rpc(self, body: Row) -> Answer:
        """Answer with status 200, also for an error."""
        params = body["params"]
        try:
            result = self.serve_rpc(params["service"], params["method"], params["args"])
        except OdooError as error:
            told = {"code": 0, "message": "Odoo Server Error", "data": account(error)}
            return Answer(200, {"jsonrpc": "2.0", "id": body["id"], "error": told})
        return Answer(200, {"jsonrpc": "2.0", "id": body["id"], "result": result})

    def serve_rpc(self, service: str, method: str, args: list[Any]) -> Any:
        if (service, method) == ("common", "version"):
            info = [self.odoo.version, 0, 0, "final", 0, ""]
            told = {"server_version": self.text, "server_version_info": info, "server_serie": self.text}
            return {**told, "protocol_version": 1}
        if self.database_down or args[0] != DATABASE:
            raise OdooError(500, "psycopg2.OperationalError", f'FATAL:  database "{args[0]}" does not exist\n')
        if (service, method) == ("common", "authenticate"):
            user = self.keys.get(args[2])
            return user if user and self.odoo.row("res.users", user)["login"] == args[1] else False
        if self.keys.get(args[2]) != args[1]:
            raise OdooError(403, "odoo.exceptions.AccessDenied", "Access Denied")
        user, _, model, called, positional, params = args[1:7]
        if called in OF_THE_MODEL:
            by_name = dict(zip(OF_THE_MODEL[called], positional, strict=False))
            return self.odoo.call(user, model, called, None, {**by_name, **params})
        return self.odoo.call(user, model, called, positional[0], params)


def named(request: Request) -> tuple[str, str] | None:
    """Return the model and method that a request calls, None if it calls no model."""
    if request.path.startswith("/json/2/"):
        model, method = request.path.split("/")[3:5]
        return model, method
    if request.path == "/jsonrpc" and request.json["params"]["service"] == "object":
        return tuple(request.json["params"]["args"][3:5])
    return None


def parse(body: bytes) -> Row:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise OdooError(400, "werkzeug.exceptions.BadRequest", "the body is no JSON") from error


def account(error: OdooError) -> Row:
    """Return an error in Odoo's form, with a traceback that must never be kept."""
    traceback = f"Traceback (most recent call last):\n  ... SECRET-OF-DEBUG\n{error.name}: {error}"
    arguments = [str(error), error.status] if error.name.startswith("werkzeug.") else [str(error)]
    return {"name": error.name, "message": str(error), "arguments": arguments, "context": {}, "debug": traceback}


def page(status: int, words: str) -> Answer:
    return Answer(status, f"<!DOCTYPE html>\n<title>{status}</title>\n<p>{words}</p>\n")


async def main() -> None:
    parser = argparse.ArgumentParser(description="A fake Odoo that prints what is written to it.")
    parser.add_argument("--port", type=int, default=8069)
    parser.add_argument("--version", type=int, choices=(17, 18, 19), default=19)
    parser.add_argument("--key", default="demo", help="the API key it takes")
    parser.add_argument("--any-order", action="store_true", help="make each order that is looked for")
    chosen = parser.parse_args()
    fake = FakeOdoo(chosen.version, chosen.key, groups=("inventory", "sales"))
    fake.odoo.say = lambda line: print(line, flush=True)
    fake.odoo.any_order = chosen.any_order
    for reference, lines in (("PO-1001", [1]), ("PO-1002", [2, 1]), ("PO-1003", [5])):
        fake.odoo.add_order(reference, lines)
    url = fake.start(chosen.port)
    print(
        f"Odoo {fake.text} at {url}", f"database {DATABASE}, login {LOGIN}, api_key {chosen.key}", sep="\n", flush=True
    )


if __name__ == "__main__":
    run_until_interrupted(main)
