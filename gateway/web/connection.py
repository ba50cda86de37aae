"""HTTP/1.1 for the public listener: the loop's transports carry the bytes, llhttp reads them, resources answer.

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
from typing import Protocol, cast

import httptools

from gateway.errors import GatewayError, MalformedRequest, MethodNotAllowed, TooLarge
from gateway.web.base import Answer, render

IDLE = 75.0
"""Seconds that a connection may be idle, or take for the head of a request; they begin with the one before."""
BODY_TIMEOUT = 20.0
"""Seconds that a sender has for a body."""
AHEAD = 16
"""Requests that are read ahead of the one that is being answered."""
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


class Connection(asyncio.Protocol):
    """A connection to one sender; `resources` gives what there is now. The parser calls the methods named on_….

    From when it is made until it is lost it is among `connections`.
    """

    _transport: asyncio.Transport

    def __init__(self, peer: str, resources: Callable[[], Resources], connections: set[Connection]) -> None:
        self._peer = peer
        self._resources = resources
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._ready: deque[Request] = deque()
        self._incoming: Request | None = None
        self._target = b""
        self._chunks: list[bytes] = []
        self._size = 0
        self._read = 0
        self._timed: Request | None = None
        self._last: Request | None = None
        self._held_back = False
        self._ended = False
        self._lost = False
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """End the connection, once what was answered is sent; at once where its sender does not read."""
        if self._room:
            self._transport.abort()
        else:
            self._transport.close()

    @property
    def _over(self) -> bool:
        return self._lost or self._transport.is_closing()

    # -- of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by type
        self._connections.add(self)
        self._limit(IDLE)
        self._serving = self._loop.create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        """Read some bytes. Requests that they complete are ready then."""
        before = self._incoming
        self._feed(data)
        if self._incoming:
            self._look_at(self._incoming, len(data) if self._incoming is before else 0)
        if self._last:
            self._drain(self._last)
        elif self._ready:
            if len(self._ready) > AHEAD:
                self._held_back = True
                self._transport.pause_reading()
            resolve(self._news)

    def eof_received(self) -> bool:
        """The sender has said all. What it asked is still answered, but not over TLS, which is ended by both."""
        self._ended = True
        idle = self._last is not None or (self._news is not None and not self._news.done())
        return not idle and self._transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        """The sender does not read: let it have no more until it does."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """The sender has read."""
        resolve(self._room)
        self._room = None

    def connection_lost(self, error: Exception | None) -> None:
        """Either side has ended it. A request that is being answered goes on, and nobody gets the answer."""
        self._lost = True
        self._connections.discard(self)
        if self._timer:
            self._timer.cancel()
        resolve(self._news)
        resolve(self._room)

    # -- what goes out

    async def _serve(self) -> None:
        """Answer one request after the other, until either side ends the connection."""
        while not self._over:
            if not self._ready:
                await self._receive()
                continue
            request = self._ready.popleft()
            self._limit(IDLE)
            await self._write(request, await self._answer(request))
            if request.last:
                self._last = request
                self._limit(BODY_TIMEOUT)
                self._drain(request)
                return

    async def _receive(self) -> None:
        """Wait until something is ready, or never will be."""
        if self._ended:
            self.close()
            return
        if self._held_back:
            self._held_back = False
            self._transport.resume_reading()
        self._news = self._loop.create_future()
        await self._news
        self._news = None

    async def _answer(self, request: Request) -> Answer:
        resource = request.resource or self._resources().malformed
        if request.refusal:
            return resource.refuse(request, request.refusal)
        return await resource.answer(request)

    async def _write(self, request: Request, answer: Answer) -> None:
        if not self._over:
            self._transport.write(render(answer, request.method, request.last))
        if self._room:
            await self._room

    def _drain(self, request: Request) -> None:
        """End the connection, unless more of a refused request is to come. Who asked before sending, and was refused,
        sends nothing."""
        over = self._incoming is not request or self._ended or self._read >= DRAINED
        if over or b"expect" in request.headers:
            self.close()

    # -- what comes in

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

    def _look_at(self, request: Request, more: int) -> None:
        """Look at a request of which `more` bytes came, and not all yet."""
        self._read += more
        most = MAX_HEAD if request.resource is None else 8 * request.resource.max_body + MAX_HEAD
        if self._read > most and not request.refusal:  # a head without end, or chunks that are mostly not body
            self._transport.abort()
        elif request.resource and request is not self._timed:
            self._timed = request
            self._limit(BODY_TIMEOUT)
            if b"expect" in request.headers and not self._ready:
                self._transport.write(CONTINUE)

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
            self._transport.abort()
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


def resolve(future: asyncio.Future[None] | None) -> None:
    if future and not future.done():
        future.set_result(None)


def path_of(target: bytes) -> str:
    path = target.partition(b"?")[0].decode("latin-1")
    return path if path.startswith("/") else SERVER.sub("", path) or "/"


def describe(error: httptools.HttpParserError, data: bytes) -> GatewayError:
    """llhttp knows no method but the registered ones."""
    if isinstance(error, httptools.HttpParserInvalidMethodError) and REQUEST_LINE.match(data):
        return MethodNotAllowed()
    return MalformedRequest(f"Malformed HTTP: {error}")
