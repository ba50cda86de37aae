"""HTTP/1.1 for the public listener: Tornado's streams carry the bytes, llhttp reads them, resources answer.

Tornado's own HTTP connection takes longer over a request than all else that is done for a signal. Here a connection
serves one request after the other, within one coroutine. One that is refused by its head, or for a body over the
limit, is answered before its body is here. What its sender still writes is then read and thrown away for a while: a
connection closed on unread bytes is reset, and the answer lost.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import httptools
from tornado.iostream import IOStream, StreamClosedError

from gateway.errors import GatewayError, MalformedRequest, MethodNotAllowed, TooLarge
from gateway.web.base import Answer, render

IDLE = 75.0
"""Seconds that a connection may be idle, or take for the head of a request; they begin with the one before."""
BODY_TIMEOUT = 20.0
"""Seconds that a sender has for a body."""
CHUNK = 64 * 1024
"""Bytes read at once."""
MAX_HEAD = 16 * 1024
"""Bytes of a head beyond the first read."""
DRAINED = 1024 * 1024
"""Bytes thrown away after an early answer, before the connection is cut."""
LOOKED_AT = frozenset({b"content-length", b"expect", b"transfer-encoding", b"x-forwarded-for"})
"""The headers that matter here."""
REQUEST_LINE = re.compile(rb"[A-Z]+ /")
SERVER = re.compile(r"https?://[^/]*", re.IGNORECASE)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(slots=True, eq=False)
class Request:
    """A request: its head, and the body once that is complete. `started` is in seconds of `perf_counter`."""

    peer: str
    started: float
    method: str = ""
    path: str = ""
    """As it came, but for the query and, where a proxy asked for a whole URL (RFC 9112 3.2.2), the server."""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    resource: Resource | None = None
    refusal: GatewayError | None = None
    last: bool = False

    def header(self, name: bytes) -> str:
        """One of LOOKED_AT; "" where it is missing."""
        return self.headers.get(name, b"").decode("latin-1")


class Resource(Protocol):
    """What requests are for. It never raises."""

    methods: frozenset[str]
    max_body: int
    """Bytes."""

    async def answer(self, request: Request) -> Answer:
        """The answer to a complete request."""
        ...

    def refuse(self, request: Request, error: GatewayError) -> Answer:
        """The answer to one whose body nobody waits for."""
        ...


class Resources(Protocol):
    """All resources; `malformed` is there for what is no HTTP."""

    malformed: Resource

    def find(self, path: str) -> Resource:
        """The one that a path names."""
        ...


class Connection:
    """A connection to one sender; `resources` gives what there is now. The parser calls the methods named on_…."""

    def __init__(self, stream: IOStream, peer: str, resources: Callable[[], Resources]) -> None:
        self._stream = stream
        self._peer = peer
        self._resources = resources
        self._parser = httptools.HttpRequestParser(self)
        self._ready: deque[Request] = deque()
        self._incoming: Request | None = None
        self._target = b""
        self._chunks: list[bytes] = []
        self._size = 0
        self._read = 0
        self._timed: Request | None = None
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def serve(self) -> None:
        """Answer requests until either side ends the connection."""
        try:
            await self._serve()
        except StreamClosedError:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Cut the connection."""
        if self._timer:
            self._timer.cancel()
        self._stream.close()

    async def _serve(self) -> None:
        self._limit(IDLE)
        while True:
            await self._receive()
            while self._ready:
                request = self._ready.popleft()
                self._limit(IDLE)
                await self._write(request, await self._answer(request))
                if request.last:
                    await self._drain(request)
                    return

    async def _answer(self, request: Request) -> Answer:
        resource = request.resource or self._resources().malformed
        if request.refusal:
            return resource.refuse(request, request.refusal)
        return await resource.answer(request)

    async def _write(self, request: Request, answer: Answer) -> None:
        written = self._stream.write(render(answer, request.method, request.last))
        if self._stream.writing():  # the sender does not read: let it have no more until it does
            await written

    async def _drain(self, request: Request) -> None:
        """Who asked before sending, and was refused, sends nothing."""
        self._limit(BODY_TIMEOUT)
        while self._incoming is request and b"expect" not in request.headers and self._read < DRAINED:
            await self._receive()

    # -- what comes in

    async def _receive(self) -> None:
        """Read some bytes. Requests that they complete are ready then."""
        before = self._incoming
        data = await self._stream.read_bytes(CHUNK, partial=True)
        self._feed(data)
        request = self._incoming
        if request is None:
            return
        if request is before:
            self._read += len(data)
            self._check_length(request)
        if request.resource and request is not self._timed:
            self._timed = request
            self._limit(BODY_TIMEOUT)
            if b"expect" in request.headers and not self._ready:
                await self._stream.write(CONTINUE)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(self._incoming or self._begin(), describe(error, data))
            self._incoming = None

    def _stay(self, rest: bytes) -> None:
        """Go on with HTTP/1.1 where a sender offers HTTP/2 beside, as Java's does: llhttp takes all that follows the
        head, its body too, for that. A new parser gets the same request without the offer."""
        if self._ready and not self._ready[-1].refusal:
            request = self._ready.pop()
            headers = b"".join(b"%s: %s\r\n" % header for header in request.headers.items())
            self._parser = httptools.HttpRequestParser(self)
            self._feed(b"%s %s HTTP/1.1\r\n%s\r\n%s" % (request.method.encode(), self._target, headers, rest))

    def _check_length(self, request: Request) -> None:
        """Cut who goes on without end: with a head, or with chunks that are mostly not body."""
        most = MAX_HEAD if request.resource is None else 8 * request.resource.max_body + MAX_HEAD
        if self._read > most and not request.refusal:
            self._stream.close()

    def _limit(self, seconds: float) -> None:
        """Have the connection cut then, unless there is a new limit before. A later one needs no new timer."""
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._look_at_time)

    def _look_at_time(self) -> None:
        if self._loop.time() >= self._deadline:
            self._stream.close()
        else:
            self._set_timer()

    def _begin(self) -> Request:
        self._incoming = Request(self._peer, time.perf_counter())
        self._target = b""
        self._chunks = []
        self._size = self._read = 0
        return self._incoming

    def _refuse(self, request: Request, error: GatewayError) -> None:
        if request.refusal is None:
            request.refusal = error
            request.last = True
            self._chunks.clear()
            self._ready.append(request)

    # -- of the parser

    def on_message_begin(self) -> None:
        self._begin()

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        request, name = self._incoming, name.lower()
        assert request
        if name in LOOKED_AT and request.resource is None:  # else it stands behind the body, where it means nothing
            given = request.headers.get(name)
            request.headers[name] = value if given is None else given + b"," + value

    def on_headers_complete(self) -> None:
        request = self._incoming
        assert request
        request.method = self._parser.get_method().decode()
        request.path = path_of(self._target)
        request.resource = self._resources().find(request.path)
        if request.method not in request.resource.methods:
            self._refuse(request, MethodNotAllowed())
        elif int(request.headers.get(b"content-length", 0)) > request.resource.max_body:
            self._refuse(request, TooLarge())

    def on_body(self, part: bytes) -> None:
        request = self._incoming
        assert request
        assert request.resource
        self._size += len(part)
        if self._size > request.resource.max_body:
            self._refuse(request, TooLarge())
        elif not request.refusal:
            self._chunks.append(part)

    def on_message_complete(self) -> None:
        request, self._incoming = self._incoming, None
        assert request
        if not request.refusal:
            request.body = b"".join(self._chunks)
            request.last = not self._parser.should_keep_alive() or self._parser.get_http_version() == "1.0"
            self._ready.append(request)


def path_of(target: bytes) -> str:
    path = target.partition(b"?")[0].decode("latin-1")
    return path if path.startswith("/") else SERVER.sub("", path) or "/"


def describe(error: httptools.HttpParserError, data: bytes) -> GatewayError:
    """llhttp knows no method but the registered ones."""
    if isinstance(error, httptools.HttpParserInvalidMethodError) and REQUEST_LINE.match(data):
        return MethodNotAllowed()
    return MalformedRequest(f"Malformed HTTP: {error}")
