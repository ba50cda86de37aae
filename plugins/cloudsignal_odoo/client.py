"""Calls methods of Odoo's models by JSON-2 (Odoo 19 and later) or JSON-RPC (17 to 21)."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from cloudsignal_odoo import faults
from cloudsignal_odoo.options import Settings
from gateway.sink import Misconfigured, RemoteServer, Response, RetryLater, SendRequest, WriteGuard, first_line

OLDEST_VERSION, FIRST_JSON2_VERSION = 17, 19
READ_METHODS = frozenset(
    {"search_read", "read", "fields_get", "has_access", "check_access_rights", "has_group", "context_get"}
)
"""Methods that change nothing, so that they need no guard."""


class Transport(Protocol):
    """A protocol for calling methods."""

    name: str

    async def call(self, model: str, method: str, ids: Sequence[int] | None, params: Mapping[str, Any]) -> Any:
        """Return the method's result. `ids` are the records, None for a method of the model itself."""
        ...

    async def user_id(self) -> int:
        """Return the id of the API key's user."""
        ...


class OdooServer(RemoteServer):
    """The Odoo server. `fail` turns its error answers into a sink's errors."""

    def __init__(self, send: SendRequest, settings: Settings, now: Callable[[], float]) -> None:
        super().__init__(send, settings.url, now)
        self.settings = settings

    def fail(self, call: str, response: Response, error: Any, status: int) -> NoReturn:
        """Raise the error that follows from an error answer. `error` is its JSON, None for a page."""
        name = str(error.get("name", "")) if isinstance(error, dict) else ""
        kind = faults.classify(status, error is not None, name)
        if error is None:
            words = faults.explain_page(status)
        else:
            message = error.get("message") if isinstance(error, dict) else ""
            # The field `debug`, a traceback, is never read.
            words = first_line(message, [self.settings.api_key.reveal()]) or "no message"
        raise self.make_error(kind, f"{call}: {words}", response)


class Json2:
    """`POST /json/2/<model>/<method>` with named parameters and the key in a header."""

    name = "JSON-2"

    def __init__(self, server: OdooServer) -> None:
        self.server = server

    async def call(self, model: str, method: str, ids: Sequence[int] | None, params: Mapping[str, Any]) -> Any:
        settings = self.server.settings
        headers = {
            "Authorization": f"bearer {settings.api_key.reveal()}",
            "X-Odoo-Database": settings.database,
        }
        body = {**params} if ids is None else {**params, "ids": list(ids)}
        response = await self.server.exchange("POST", f"/json/2/{model}/{method}", body, headers)
        if response.status == 200:
            return response.json()
        error = response.json() if response.is_json else None
        self.server.fail(f"{model}/{method}", response, error, response.status)

    async def user_id(self) -> int:
        context = await self.call("res.users", "context_get", None, {})
        return int(context["uid"])


class JsonRpc:
    """`POST /jsonrpc` with positional parameters and the key in the body. Errors come with status 200."""

    name = "JSON-RPC"

    def __init__(self, server: OdooServer) -> None:
        self.server = server
        self._uid: int | None = None
        self._numbers = itertools.count(1)

    async def call(self, model: str, method: str, ids: Sequence[int] | None, params: Mapping[str, Any]) -> Any:
        settings = self.server.settings
        uid = await self.user_id()
        positional = [] if ids is None else [list(ids)]
        arguments = [settings.database, uid, settings.api_key.reveal(), model, method, positional, dict(params)]
        return await self.service("object", "execute_kw", arguments, f"{model}/{method}")

    async def user_id(self) -> int:
        if self._uid is None:
            settings = self.server.settings
            if not settings.login:
                raise Misconfigured("set the option login: JSON-RPC needs it, and Odoo 17 and 18 have nothing else")
            arguments = [settings.database, settings.login, settings.api_key.reveal(), {}]
            uid = await self.service("common", "authenticate", arguments, "authenticate")
            # Odoo answers a wrong login or key with false, not with an error.
            if not uid:
                raise Misconfigured("authenticate: Odoo does not accept this login with this key")
            self._uid = int(uid)
        return self._uid

    async def service(self, service: str, method: str, arguments: Sequence[Any], call: str) -> Any:
        """Return the result of a service's method. `call` names it in errors."""
        params = {"service": service, "method": method, "args": list(arguments)}
        body = {"jsonrpc": "2.0", "method": "call", "id": next(self._numbers), "params": params}
        response = await self.server.exchange("POST", "/jsonrpc", body)
        if response.status != 200:
            self.server.fail(call, response, response.json() if response.is_json else None, response.status)
        answer = response.json()
        if not isinstance(answer, dict):
            raise RetryLater(f"{call}: the answer is not JSON-RPC")
        if error := answer.get("error"):
            # The status is always 200, so the exception's name decides, as it does for a 500 of JSON-2.
            data = error.get("data") or error
            self.server.fail(call, response, {"message": error.get("message"), **data}, 500)
        return answer.get("result")


class Client:
    """Calls by the transport that the options name, or by the newest that the server has."""

    def __init__(self, send: SendRequest, settings: Settings, now: Callable[[], float]) -> None:
        self.settings = settings
        self.server = OdooServer(send, settings, now)
        self._transport: Transport | None = None

    async def call(self, model: str, method: str, ids: Sequence[int] | None = None, **params: Any) -> Any:
        """Return the method's result. Raises RetryLater, Permanent or Misconfigured."""
        return await (await self.transport()).call(model, method, ids, params)

    async def transport(self) -> Transport:
        """Return the transport; the first call asks the server's version."""
        if self._transport is None:
            chosen = self.settings.transport
            if chosen == "auto":
                chosen = "json2" if version_number(await self.version()) >= FIRST_JSON2_VERSION else "jsonrpc"
            self._transport = Json2(self.server) if chosen == "json2" else JsonRpc(self.server)
        return self._transport

    async def version(self) -> str:
        """Return the server's version, such as "19.0". Raises Misconfigured if it is too old."""
        response = await self.server.exchange("GET", "/web/version")
        if response.status == 200:
            answer = response.json()
        elif response.status in {404, 405}:
            # Odoo 17 and 18 have no such page and give the version by JSON-RPC only.
            answer = await JsonRpc(self.server).service("common", "version", [], "version")
        else:
            self.server.fail("version", response, None, response.status)
        fields = answer if isinstance(answer, dict) else {}
        version = str(fields.get("version") or fields.get("server_version") or "")
        if version_number(version) < OLDEST_VERSION:
            raise Misconfigured(f"Odoo {OLDEST_VERSION} or later is needed; this is {version or 'not Odoo'}"[:100])
        return version


class AttemptClient:
    """The client within one attempt: it begins no write that the attempt could not wait for."""

    def __init__(self, client: Client, guard: WriteGuard) -> None:
        self.client = client
        self.guard = guard

    async def call(self, model: str, method: str, ids: Sequence[int] | None = None, **params: Any) -> Any:
        """Call as Client.call does, and guard a write."""
        with contextlib.nullcontext() if method in READ_METHODS else self.guard.begin(f"{model}/{method}"):
            return await self.client.call(model, method, ids, **params)


def version_number(version: str) -> int:
    """Return 19 for "19.0" and for "saas~19.2", 0 for text without a number."""
    match = re.search(r"\d+", version)
    return int(match[0]) if match else 0
