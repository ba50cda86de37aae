"""Serves the endpoints of a path: authentication, validation, the endpoint, and its reply or problem."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import orjson
import structlog
import voluptuous as vol
from tornado import iostream, web
from tornado.escape import parse_qs_bytes

from gateway import errors, exact_json
from gateway.operate.access import act_as
from gateway.web.admin.api.endpoint import Call, Desk, Path, Reply
from gateway.web.admin.api.fields import NAME
from gateway.web.admin.api.fields import PATH as NAMES
from gateway.web.admin.auth import Authenticator, Caller
from gateway.web.admin.base import Handler
from gateway.web.admin.problems import answer_problem

log = structlog.get_logger()

CHANGES = ("POST", "PUT", "DELETE")
"""Methods that change something. A page of another site must not send them with a person's sign-on."""


class ApiHandler(Handler):
    """Serves one path of the API."""

    def initialize(self, path: Path, desk: Desk, authenticator: Authenticator) -> None:
        self.path_of_list = path
        self.desk = desk
        self.authenticator = authenticator
        self._streaming: asyncio.Task[None] | None = None

    async def answer(self, **names: str) -> None:
        """Answer a request with any method."""
        admin = self.desk.config().admin
        if admin is None or not admin.has_api:
            raise errors.NotFound()
        method = self.request.method or ""
        endpoint = self.path_of_list.methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            raise errors.MethodNotAllowed(f"Use {self.path_of_list.allow}.")
        caller = self.authenticator.authenticate(self.request)
        if method in CHANGES:
            self.refuse_other_sites()
        found = check_names(names)
        query = validate(endpoint.query, read_query(self.request.query))
        body = {} if endpoint.body is None else validate(endpoint.body, self.read_body())
        if endpoint.one_of and not any(name in body for name in endpoint.one_of):
            raise errors.InvalidQuery({"body": f"expected at least one of {', '.join(endpoint.one_of)}"})
        reply = await endpoint.run(self.make_call(caller, found, query, body))
        if isinstance(reply.content, AsyncGenerator):
            await self.send_stream(reply, caller)
        else:
            self.send_reply(reply)
        if method in CHANGES:
            log.info("api.changed", method=method, path=self.request.path, name=caller.access.name, code=reply.code)

    get = head = post = put = delete = patch = options = answer

    def make_call(
        self, caller: Caller, names: Mapping[str, Any], query: Mapping[str, Any], body: Mapping[str, Any]
    ) -> Call:
        """Return the call of an endpoint."""
        store = act_as(self.desk.store(), caller.access, caller.address)
        now, config = self.desk.now(), self.desk.config()
        last = self.request.headers.get("Last-Event-ID", "")
        return Call(caller.access, store, config, now, self.request.path, names, query, body, last, self.desk)

    def send_reply(self, reply: Reply) -> None:
        """Send a reply. Tornado adds an ETag, and answers 304 to a caller that has the same."""
        self.set_status(reply.code)
        self.set_header("Cache-Control", "private, no-cache")
        for name, value in reply.headers.items():
            self.set_header(name, value)
        if reply.code == 204:
            self.clear_header("Content-Type")
            self.finish()
        else:
            self.set_header("Content-Type", "application/json")
            self.finish(exact_json.dumps(reply.content))

    async def send_stream(self, reply: Reply, caller: Caller) -> None:
        """Send texts as they come, until the caller has gone, or its rights have changed by a reload."""
        self.set_header("Cache-Control", "no-store")
        for name, value in reply.headers.items():
            self.set_header(name, value)
        if self.request.method != "HEAD":
            self._streaming = asyncio.ensure_future(self.write_texts(reply.content, caller))
            with contextlib.suppress(asyncio.CancelledError, iostream.StreamClosedError):
                await self._streaming
        self.finish()

    async def write_texts(self, texts: AsyncGenerator[str, None], caller: Caller) -> None:
        """Write each text at once."""
        async with contextlib.aclosing(texts):
            async for text in texts:
                if self.authenticator.find(self.request) != caller:
                    return
                self.write(text)
                await self.flush()

    def on_connection_close(self) -> None:
        """End a stream when its caller has gone."""
        if self._streaming:
            self._streaming.cancel()

    def refuse_other_sites(self) -> None:
        """Raise Forbidden for a request that a browser sends for a page of another site."""
        if self.request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise errors.Forbidden("A page of another site may not do that.")

    def read_body(self) -> Any:
        """Return the JSON in the body. Raises UnsupportedContent for another type, InvalidQuery for no JSON."""
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise errors.UnsupportedContent("The body must be application/json.")
        try:
            return orjson.loads(self.request.body)
        except orjson.JSONDecodeError:
            raise errors.InvalidQuery({"body": "expected JSON"}) from None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, web.HTTPError):
            error = errors.MethodNotAllowed() if status_code == 405 else errors.InvalidQuery()
        self.send(answer_problem(error or errors.Unavailable(), self.path_of_list.allow))


class DocumentHandler(Handler):
    """GET openapi.json: the description of the API, for everybody, because it has no secret."""

    def initialize(self, document: Mapping[str, Any], desk: Desk) -> None:
        self.document = document
        self.desk = desk

    def get(self) -> None:
        admin = self.desk.config().admin
        if admin is None or not admin.has_api:
            raise errors.NotFound()
        self.set_header("Content-Type", "application/json")
        self.finish(orjson.dumps(self.document))

    head = get


class NoEndpoint(Handler):
    """Any other path below the API's."""

    def prepare(self) -> None:
        raise errors.NotFound()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.send(answer_problem(errors.NotFound()))


def check_names(names: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the parameters in a path. Raises NotFound for a wrong one, as nothing has such a name."""
    try:
        return {name: NAMES.get(name, NAME)(value) for name, value in names.items()}
    except vol.Invalid:
        raise errors.NotFound() from None


def read_query(query: str) -> Mapping[str, str]:
    """Return the parameters of a query. Raises InvalidQuery for a repeated one, and for text that is not UTF-8."""
    found: dict[str, str] = {}
    for name, values in parse_qs_bytes(query, keep_blank_values=True).items():
        if len(values) > 1:
            raise errors.InvalidQuery({name: "is given twice"})
        try:
            found[name] = values[0].decode()
        except UnicodeDecodeError:
            raise errors.InvalidQuery({name: "is not UTF-8"}) from None
    return found


def validate(schema: Mapping[Any, Any], given: Any) -> Mapping[str, Any]:
    """Return the valid fields. Raises InvalidQuery with all errors by field."""
    try:
        found: Mapping[str, Any] = vol.Schema(schema)(given)
    except vol.MultipleInvalid as error:
        raise errors.InvalidQuery({name_of(each): explain(each) for each in error.errors}) from None
    return found


def name_of(error: vol.Invalid) -> str:
    return ".".join(map(str, error.path)) or "body"


def explain(error: vol.Invalid) -> str:
    """Return voluptuous' message in the words of the others."""
    words = {"extra keys not allowed": "is not known", "required key not provided": "is missing"}
    return words.get(error.msg, "expected an object" if error.msg == "expected a dictionary" else error.msg)
