"""Calls methods of Odoo's models by JSON-2 (Odoo 19 and later) or JSON-RPC (17 to 21)."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from cloudsignal_odoo import answers, faults
from cloudsignal_odoo.options import Settings
from gateway.sink import (
    Misconfigured,
    RemoteServer,
    Response,
    SendRequest,
    WriteGuard,
    explain_foreign,
    first_line,
    foreign_error,
    parse_answer,
)

FIRST_JSON2_VERSION = 19
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

    def fail(self, call: str, response: Response, error: Mapping[str, Any], status: int) -> NoReturn:
        """Raise the error that follows from an exception of Odoo: its JSON, and the HTTP status that it stands for."""
        kind = faults.classify(status, str(error["name"]))
        # The field `debug`, a traceback, is never read.
        words = first_line(error.get("message"), [self.settings.api_key.reveal()]) or "no message"
        raise self.make_error(kind, f"{call}: {words}", response)

    def reject(self, call: str, response: Response) -> NoReturn:
        """Raise the error for an answer that Odoo did not write itself."""
        words = faults.explain_page(response) or explain_foreign(response, "Odoo")
        raise self.make_error(foreign_error(response.status), f"{call}: {words}", response)


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
        answer = parse_answer(response)
        if response.status == 200 and answers.is_result(method, params, answer):
            return answer
        if response.status != 200 and (error := answers.own_error(answer)):
            self.server.fail(f"{model}/{method}", response, error, response.status)
        self.server.reject(f"{model}/{method}", response)

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
        result, response = await self.service("object", "execute_kw", arguments, f"{model}/{method}")
        if not answers.is_result(method, params, result):
            self.server.reject(f"{model}/{method}", response)
        return result

    async def user_id(self) -> int:
        if self._uid is None:
            settings = self.server.settings
            if not settings.login:
                raise Misconfigured("set the option login: JSON-RPC needs it, and Odoo 17 and 18 have nothing else")
            arguments = [settings.database, settings.login, settings.api_key.reveal(), {}]
            uid, _ = await self.service("common", "authenticate", arguments, "authenticate")
            # Odoo answers a wrong login or key with false, not with an error.
            if not uid:
                raise Misconfigured("authenticate: Odoo does not accept this login with this key")
            self._uid = int(uid)
        return self._uid

    async def service(self, service: str, method: str, arguments: Sequence[Any], call: str) -> tuple[Any, Response]:
        """Return the result of a service's method, and the answer. `call` names it in errors."""
        params = {"service": service, "method": method, "args": list(arguments)}
        body = {"jsonrpc": "2.0", "method": "call", "id": next(self._numbers), "params": params}
        response = await self.server.exchange("POST", "/jsonrpc", body)
        answer = parse_answer(response)
        if not answers.is_rpc(answer):
            self.server.reject(call, response)
        if error := answer.get("error"):
            # Odoo's status is always 200, so the exception's name decides, as it does for a 500 of JSON-2.
            self.server.fail(call, response, {"message": error.get("message"), **error["data"]}, 500)
        if response.status != 200:
            self.server.reject(call, response)
        return answer.get("result"), response


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
                chosen = "json2" if answers.version_number(await self.version()) >= FIRST_JSON2_VERSION else "jsonrpc"
            self._transport = Json2(self.server) if chosen == "json2" else JsonRpc(self.server)
        return self._transport

    async def version(self) -> str:
        """Return the server's version, such as "19.0". Raises Misconfigured if it is too old."""
        response = await self.server.exchange("GET", "/web/version")
        answer = parse_answer(response)
        if response.status != 200 and (error := answers.own_error(answer)):
            self.server.fail("version", response, error, response.status)
        if response.status in {404, 405}:
            # Odoo 17 and 18 have no such page and give the version by JSON-RPC only.
            answer, response = await JsonRpc(self.server).service("common", "version", [], "version")
        version = answers.own_version(answer)
        if response.status != 200 or not version:
            self.server.reject("version", response)
        if answers.version_number(version) < answers.OLDEST_VERSION:
            raise Misconfigured(f"Odoo {answers.OLDEST_VERSION} or later is needed; this is {version}"[:100])
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

    async def user_id(self) -> int:
        """Return the id of the API key's user."""
        return await (await self.client.transport()).user_id()
