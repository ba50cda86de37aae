"""Calls Tryton's models by REST (8.0 and later, with an application key) or JSON-RPC (any version, HTTP Basic)."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol
from urllib.parse import urlencode

import orjson

from cloudsignal_tryton import answers, faults
from cloudsignal_tryton.options import Settings
from gateway.sink import (
    Misconfigured,
    Permanent,
    RemoteServer,
    Response,
    SendRequest,
    WriteGuard,
    explain_foreign,
    first_line,
    foreign_error,
    parse_answer,
)

OLDEST_SERIES, FIRST_REST_SERIES = (7, 0), (8, 0)
MAX_WARNINGS_PER_BUTTON = 20
"""Warnings that one button may raise, each skipped in turn; more means a loop."""

Row = Mapping[str, Any]


class Transport(Protocol):
    """A protocol for calling models. A row has `product.code` as `{"product": {"code": …}}`."""

    name: str

    async def search(
        self, model: str, domain: Sequence[Any], fields: Sequence[str], limit: int | None
    ) -> list[Row]: ...

    async def create(self, model: str, values: Row) -> None: ...

    async def write(self, model: str, id: int, values: Row) -> None: ...

    async def press(self, model: str, id: int, button: str) -> None:
        """Press a button of a record and skip the warnings."""
        ...

    async def ask(self, model: str, method: str, arguments: Row) -> Any:
        """Call a method of the model that changes nothing."""
        ...


class TrytonServer(RemoteServer):
    """The Tryton server. `fail` turns its error answers into a sink's errors."""

    def __init__(self, send: SendRequest, settings: Settings, now: Callable[[], float]) -> None:
        # Errors are recognised by their English text.
        super().__init__(send, settings.url, now, {"Accept-Language": "en"})
        self.settings = settings

    def fail(self, call: str, response: Response, reading: bool) -> NoReturn:
        """Raise the error that follows from an error status: Tryton's own, or that of a proxy."""
        error, page = answers.own_error(response), answers.own_page(response)
        if error is None and page is None:
            self.reject(call, response)
        message = first_line(page if error is None else error["message"], self.settings.secrets())
        kind = faults.classify(response.status, error is not None, message, reading)
        words = message if error is not None and message else faults.explain(response.status, message)
        raise self.make_error(kind, f"{call}: {words}", response)

    def reject(self, call: str, response: Response) -> NoReturn:
        """Raise the error for an answer that Tryton did not write itself."""
        words = explain_foreign(response, "Tryton")
        raise self.make_error(foreign_error(response.status), f"{call}: {words}", response)


class Rest:
    """Requests to `/<database>/rest/model/…`."""

    name = "REST"

    def __init__(self, server: TrytonServer) -> None:
        self.server = server

    async def search(self, model: str, domain: Sequence[Any], fields: Sequence[str], limit: int | None) -> list[Row]:
        query = [("d", encode(domain)), *(("f", field) for field in fields)]
        if limit is not None:
            query.append(("s", str(limit)))
        path, fits = f"{model}?{urlencode(query)}", lambda rows: answers.are_found(rows, fields)
        rows: list[Row] = await self.call("GET", path, None, f"{model}/search", fits)
        return rows

    async def create(self, model: str, values: Row) -> None:
        await self.call("POST", model, values, f"{model}/create", answers.is_done)

    async def write(self, model: str, id: int, values: Row) -> None:
        await self.call("PUT", f"{model}/{id}", values, f"{model}/write", answers.is_done)

    async def press(self, model: str, id: int, button: str) -> None:
        path, context = f"{model}/{id}/{button}", {"_skip_warnings": True}
        await self.call("POST", path, {}, f"{model}/{button}", answers.is_done, context)

    async def ask(self, model: str, method: str, arguments: Row) -> Any:
        return await self.call("POST", f"{model}/{method}", arguments, f"{model}/{method}", bool)

    async def call(
        self, method: str, path: str, body: Any, what: str, fits: Callable[[Any], bool], context: Row | None = None
    ) -> Any:
        """Return the result. `what` names the call in errors, and `fits` is true for the results it may have."""
        key = self.server.settings.application_key
        headers = {"Authorization": f"bearer {key.reveal() if key else ''}"}
        if context is not None:
            headers["X-Tryton-Context"] = encode(context)
        path = f"/{self.server.settings.database}/rest/model/{path}"
        response = await self.server.exchange(method, path, body, headers)
        if response.status not in {200, 204}:
            self.server.fail(what, response, reading=method == "GET")
        # 204 is the answer to a write if the user may not read the record.
        result = None if response.status == 204 else parse_answer(response)
        if not fits(result):
            self.server.reject(what, response)
        return result


class JsonRpc:
    """`POST /<database>/rpc/`, before 8.0 `POST /<database>/`. Errors come with status 200."""

    name = "JSON-RPC"

    def __init__(self, server: TrytonServer, series: tuple[int, int]) -> None:
        self.server = server
        self.path = f"/{server.settings.database}/" + ("rpc/" if series >= FIRST_REST_SERIES else "")
        self._numbers = itertools.count(1)

    async def search(self, model: str, domain: Sequence[Any], fields: Sequence[str], limit: int | None) -> list[Row]:
        rows = await self.call(model, "search_read", [list(domain), 0, limit, None, list(fields)], answers.is_rows)
        return [undotted(row) for row in rows]

    async def create(self, model: str, values: Row) -> None:
        await self.call(model, "create", [[dict(values)]])

    async def write(self, model: str, id: int, values: Row) -> None:
        await self.call(model, "write", [[id], dict(values)])

    async def press(self, model: str, id: int, button: str) -> None:
        # The context that skips warnings has no effect here, so each is skipped by its name.
        for _ in range(MAX_WARNINGS_PER_BUTTON):
            error = await self.attempt(model, button, [[id]])
            if error is None:
                return
            if error[0] != "UserWarning":
                self.fail(f"{model}/{button}", error)
            await self.call("res.user.warning", "skip", [str(error[1][0]), False])
        raise Permanent(f"{model}/{button}: Tryton raises more than {MAX_WARNINGS_PER_BUTTON} warnings")

    async def ask(self, model: str, method: str, arguments: Row) -> Any:
        return await self.call(model, method, list(arguments.values()))

    async def call(
        self, model: str, method: str, arguments: Sequence[Any], fits: Callable[[Any], bool] = lambda result: True
    ) -> Any:
        """Return the result. `fits` is true for the results that the method may have."""
        answer, response = await self.send(model, method, arguments)
        if error := answer.get("error"):
            self.fail(f"{model}/{method}", error)
        if not fits(result := answer.get("result")):
            self.server.reject(f"{model}/{method}", response)
        return result

    async def attempt(self, model: str, method: str, arguments: Sequence[Any]) -> Any:
        """Call a method and return its error, None for a success."""
        answer, _ = await self.send(model, method, arguments)
        return answer.get("error")

    async def send(self, model: str, method: str, arguments: Sequence[Any]) -> tuple[Mapping[str, Any], Response]:
        """Send a call. Return the envelope of its result or error, and the answer that contained it."""
        settings = self.server.settings
        password = settings.password.reveal() if settings.password else ""
        credentials = base64.b64encode(f"{settings.user}:{password}".encode()).decode()
        params = [*arguments, {"language": "en"}]
        body = {"id": next(self._numbers), "method": f"model.{model}.{method}", "params": params}
        headers = {"Authorization": f"Basic {credentials}"}
        response = await self.server.exchange("POST", self.path, body, headers)
        if response.status != 200:
            self.server.fail(f"{model}/{method}", response, reading=True)
        if not answers.is_rpc(answer := parse_answer(response)):
            self.server.reject(f"{model}/{method}", response)
        return answer, response

    def fail(self, call: str, error: Any) -> NoReturn:
        """Raise the error that follows from `[name, [message, …]]`, or from a server error's `[text, traceback]`."""
        name, details = (str(error[0]), error[1]) if isinstance(error, list) and len(error) > 1 else (str(error), "")
        text = details[0] if isinstance(details, list) and details else name
        message = first_line(text, self.server.settings.secrets()) or "no message"
        raise faults.classify_rpc(name, message)(f"{call}: {message}")


class Client:
    """Calls by the transport that the options name, or by the best that the server and the credentials allow."""

    def __init__(self, send: SendRequest, settings: Settings, now: Callable[[], float]) -> None:
        self.settings = settings
        self.server = TrytonServer(send, settings, now)
        self._series: tuple[int, int] | None = None
        self._transport: Transport | None = None

    async def search(
        self, model: str, domain: Sequence[Any], fields: Sequence[str], limit: int | None = None
    ) -> list[Row]:
        """Return the records in Tryton's own order. Raises RetryLater, Permanent or Misconfigured."""
        rows = await (await self.transport()).search(model, domain, fields, limit)
        # REST silently leaves out the fields that the user may not read.
        if rows and (missing := [field for field in fields if field.split(".")[0] not in rows[0]]):
            raise Misconfigured(f"the user may not read {', '.join(missing)} of {model}")
        return rows

    async def ask(self, model: str, method: str, **arguments: Any) -> Any:
        """Return the result of a method that changes nothing."""
        return await (await self.transport()).ask(model, method, arguments)

    async def create(self, model: str, values: Row) -> None:
        await (await self.transport()).create(model, values)

    async def write(self, model: str, id: int, values: Row) -> None:
        await (await self.transport()).write(model, id, values)

    async def press(self, model: str, id: int, button: str) -> None:
        await (await self.transport()).press(model, id, button)

    async def transport(self) -> Transport:
        """Return the transport; the first call asks the server's version."""
        if self._transport is None:
            series = await self.series()
            if (chosen := self.settings.transport) == "auto":
                chosen = "rest" if series >= FIRST_REST_SERIES and self.settings.application_key else "jsonrpc"
            if chosen == "jsonrpc" and not self.settings.has_login:
                raise Misconfigured(
                    "set the options user and password, which JSON-RPC and every Tryton before 8.0 need"
                )
            self._transport = Rest(self.server) if chosen == "rest" else JsonRpc(self.server, series)
        return self._transport

    async def series(self) -> tuple[int, int]:
        """Return the series, such as (8, 0), asked once; never with `transport: rest`, which means 8.0 or later."""
        if self._series is None:
            rest = self.settings.transport == "rest"
            self._series = FIRST_REST_SERIES if rest else series_of(await self.version())
        return self._series

    async def version(self) -> str:
        """Return the server's version, such as "8.0" or "7.0.59". Raises Misconfigured if it is too old."""
        body = {"id": 0, "method": "common.server.version", "params": []}
        response = first = await self.server.exchange("POST", "/rpc/", body)
        if first.status in {401, 403, 404, 405}:
            # Before 8.0, /rpc/ is read as the name of a database.
            response = await self.server.exchange("POST", "/", body)
        if response.status != 200 and not answers.is_own(first):
            # A proxy answered first, so that Tryton's refusal of the other path means nothing.
            self.server.reject("version", first)
        if response.status != 200:
            self.server.fail("version", response, reading=True)
        if not (version := answers.own_version(parse_answer(response))):
            self.server.reject("version", response)
        if series_of(version) < OLDEST_SERIES:
            raise Misconfigured(f"Tryton 7.0 or later is needed; this is {version}"[:100])
        return version


class AttemptClient:
    """The client within one attempt: it begins no write that the attempt could not wait for."""

    def __init__(self, client: Client, guard: WriteGuard) -> None:
        self.client = client
        self.guard = guard
        self.search = client.search
        self.series = client.series

    async def create(self, model: str, values: Row) -> None:
        with self.guard.begin(f"{model}/create"):
            await self.client.create(model, values)

    async def write(self, model: str, id: int, values: Row) -> None:
        with self.guard.begin(f"{model}/write"):
            await self.client.write(model, id, values)

    async def press(self, model: str, id: int, button: str) -> None:
        with self.guard.begin(f"{model}/{button}"):
            await self.client.press(model, id, button)


def series_of(version: str) -> tuple[int, int]:
    """Return (7, 0) for "7.0.59", (0, 0) for other text."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def encode(value: Any) -> str:
    """Encode JSON in URL-safe base64, the form of domains and contexts in REST."""
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode()


def undotted(row: Row) -> Row:
    """Convert a row of JSON-RPC to the form of REST: `{"product.": {…}}` becomes `{"product": {…}}`."""
    nested = {name.rstrip("."): value for name, value in row.items() if name.endswith(".")}
    return {**{name: value for name, value in row.items() if not name.endswith(".")}, **nested}
