"""Calls methods of Odoo's models: JSON-2 (Odoo 19 and later) or JSON-RPC (17 and 18; gone in 22)."""

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


class Transport(Protocol):
    """One way to call a method; `ids` is None for a method of the model itself."""

    name: str

    async def call(self, model: str, method: str, ids: Sequence[int] | None, params: Mapping[str, Any]) -> Any: ...

    async def user_id(self) -> int:
        """The id of the user whose key it is."""
        ...


class OdooServer(RemoteServer):
    """The server, with Odoo's account of an error made a sink's error."""

    def __init__(self, send: SendRequest, settings: Settings, now: Callable[[], float]) -> None:
        super().__init__(send, settings.url, now)
        self.settings = settings

    def fail(self, what: str, response: Response, told: Any, status: int) -> NoReturn:
        """Raise what follows from an error; `told` is Odoo's JSON account of it, None for a page."""
        name = str(told.get("name", "")) if isinstance(told, dict) else ""
        kind = faults.classify(status, told is not None, name)
        if told is None:
            words = faults.explain_page(status)
        else:
            message = told.get("message") if isinstance(told, dict) else ""
            # Its `debug`, a traceback, is never read.
            words = first_line(message, [self.settings.api_key.reveal()]) or "no message"
        raise self.make_error(kind, f"{what}: {words}", response)


class Json2:
    """`POST /json/2/<model>/<method>`: named parameters, the key in a header."""

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
        told = response.json() if response.is_json else None
        self.server.fail(f"{model}/{method}", response, told, response.status)

    async def user_id(self) -> int:
        context = await self.call("res.users", "context_get", None, {})
        return int(context["uid"])


class JsonRpc:
    """`POST /jsonrpc`: positional parameters, the key in the body; errors come with status 200."""

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
                raise Misconfigured("JSON-RPC, which Odoo 17 and 18 need, needs the option login")
            arguments = [settings.database, settings.login, settings.api_key.reveal(), {}]
            uid = await self.service("common", "authenticate", arguments, "authenticate")
            if not uid:
                raise Misconfigured("authenticate: Odoo does not know this login with this key")
            self._uid = int(uid)
        return self._uid

    async def service(self, service: str, method: str, arguments: Sequence[Any], what: str) -> Any:
        params = {"service": service, "method": method, "args": list(arguments)}
        body = {"jsonrpc": "2.0", "method": "call", "id": next(self._numbers), "params": params}
        response = await self.server.exchange("POST", "/jsonrpc", body)
        if response.status != 200:
            self.server.fail(what, response, response.json() if response.is_json else None, response.status)
        answer = response.json()
        if not isinstance(answer, dict):
            raise RetryLater(f"{what}: the answer is no JSON-RPC")
        if error := answer.get("error"):
            # Status 200 says nothing here: judged by its name, as JSON-2 judges a 500.
            told = error.get("data") or error
            self.server.fail(what, response, {"message": error.get("message"), **told}, 500)
        return answer.get("result")


class Client:
    """Calls by the transport the options name, or the one the server has, asked once."""

    def __init__(self, send: SendRequest, settings: Settings, now: Callable[[], float]) -> None:
        self.settings = settings
        self.server = OdooServer(send, settings, now)
        self._transport: Transport | None = None

    async def call(self, model: str, method: str, ids: Sequence[int] | None = None, **params: Any) -> Any:
        """The method's result. Raises RetryLater, Permanent or Misconfigured."""
        return await (await self.transport()).call(model, method, ids, params)

    async def transport(self) -> Transport:
        """The way to call, found out at first use."""
        if self._transport is None:
            chosen = self.settings.transport
            if chosen == "auto":
                chosen = "json2" if version_number(await self.version()) >= FIRST_JSON2_VERSION else "jsonrpc"
            self._transport = Json2(self.server) if chosen == "json2" else JsonRpc(self.server)
        return self._transport

    async def version(self) -> str:
        """The server's version, such as "19.0". Misconfigured where it is older than the sink knows."""
        response = await self.server.exchange("GET", "/web/version")
        if response.status == 200:
            told = response.json()
        elif response.status in {404, 405}:
            # Odoo 17 and 18 have no such page and tell it by JSON-RPC.
            told = await JsonRpc(self.server).service("common", "version", [], "version")
        else:
            self.server.fail("version", response, None, response.status)
        fields = told if isinstance(told, dict) else {}
        version = str(fields.get("version") or fields.get("server_version") or "")
        if version_number(version) < OLDEST_VERSION:
            raise Misconfigured(f"Odoo {OLDEST_VERSION} or later is needed; this is {version or 'no Odoo'}"[:100])
        return version


class AttemptClient:
    """The client within one attempt, which has time for some writes."""

    def __init__(self, client: Client, guard: WriteGuard) -> None:
        self.client = client
        self.guard = guard

    async def call(self, model: str, method: str, ids: Sequence[int] | None = None, **params: Any) -> Any:
        """As Client.call; see WriteGuard."""
        with contextlib.nullcontext() if method in READ_METHODS else self.guard.begin(f"{model}/{method}"):
            return await self.client.call(model, method, ids, **params)


def version_number(version: str) -> int:
    """19 for "19.0" and for "saas~19.2"; 0 where there is none."""
    match = re.search(r"\d+", version)
    return int(match[0]) if match else 0
