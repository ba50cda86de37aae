"""A scripted HTTP server: gives the faults that a test has queued, then a subclass's answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from tornado import httputil, web
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets

from gateway import exact_json


@dataclass(frozen=True, slots=True)
class Request:
    """A request as received. `headers` are case-insensitive."""

    method: str
    path: str
    query: str
    headers: httputil.HTTPHeaders
    body: bytes

    @property
    def json(self) -> Any:
        return exact_json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. A `body` of bytes or text is sent unchanged, any other as JSON."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Fault:
    """Replaces an answer.

    CLOSE closes the connection before the answer, HALF in the middle of it. HANG never answers. DRIP sends a byte each
    second without end.
    """

    CLOSE = "close"
    HALF = "half"
    HANG = "hang"
    DRIP = "drip"


ScriptedAnswer = Answer | str | Callable[[Request], Awaitable[Answer]]
"""A planned answer: an Answer, a Fault, or a coroutine function that is given the request."""


class Stub:
    """A server on 127.0.0.1. Each request takes the next of `faults`; `answer` is asked when none is left.

    `always` replaces the answers of `answer` until it is None again. `requests` has all requests received. `url` is set
    by `start`.
    """

    def __init__(self) -> None:
        self.faults: deque[ScriptedAnswer] = deque()
        self.always: ScriptedAnswer | None = None
        self.requests: list[Request] = []
        self.url = ""
        self._server: HTTPServer | None = None
        self._released = asyncio.Event()

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request, if no fault is queued."""
        return Answer()

    def start(self, port: int = 0, ssl_options: Any = None) -> str:
        """Listen on 127.0.0.1 in the running event loop, and return the base URL."""
        stub = self

        class Handler(web.RequestHandler):
            async def prepare(self) -> None:
                await stub._serve(self)

        self._server = HTTPServer(
            web.Application([(r".*", Handler)], log_function=lambda _: None), ssl_options=ssl_options
        )
        sockets = bind_sockets(port, "127.0.0.1")
        self._server.add_sockets(sockets)
        scheme = "https" if ssl_options else "http"
        self.url = f"{scheme}://127.0.0.1:{sockets[0].getsockname()[1]}"
        return self.url

    async def stop(self) -> None:
        """Stop listening, end hanging requests and close all connections."""
        self.release()
        if self._server is not None:
            self._server.stop()
            await self._server.close_all_connections()
            self._server = None

    def release(self) -> None:
        """End the requests that hang now."""
        self._released.set()
        self._released = asyncio.Event()

    async def _serve(self, handler: web.RequestHandler) -> None:
        raw = handler.request
        request = Request(raw.method or "", raw.path, raw.query, raw.headers, raw.body)
        self.requests.append(request)
        planned = self.faults.popleft() if self.faults else self.always
        if planned == Fault.HANG:
            await self._released.wait()
        if planned == Fault.DRIP:
            await self._drip(handler)
        if isinstance(planned, str):
            self._cut(handler, half=planned == Fault.HALF)
            return
        if planned is None:
            answer = self.answer(request)
        else:
            answer = planned if isinstance(planned, Answer) else await planned(request)
        self._write(handler, answer)

    def _write(self, handler: web.RequestHandler, answer: Answer) -> None:
        handler.set_status(answer.status)
        plain = isinstance(answer.body, (bytes, str))
        handler.set_header("Content-Type", "text/html; charset=utf-8" if plain else "application/json; charset=utf-8")
        for name, value in answer.headers.items():
            handler.set_header(name, value)
        handler.finish((answer.body or None) if plain else orjson.dumps(answer.body))

    async def _drip(self, handler: web.RequestHandler) -> None:
        handler.set_header("Content-Length", "1000")
        with contextlib.suppress(StreamClosedError):
            released = self._released
            while not released.is_set():
                handler.write(b" ")
                await handler.flush()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(released.wait(), 1.0)

    def _cut(self, handler: web.RequestHandler, half: bool) -> None:
        stream = handler.detach()
        if half:
            stream.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        stream.close()
