"""Reading: the bytes of one connection become exchanges, in order, with limits on their sizes."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import httptools

from gateway.errors import (
    GatewayError,
    HeadTooLarge,
    MalformedRequest,
    MethodNotAllowed,
    TargetTooLong,
    TooLarge,
    UnsupportedVersion,
)
from gateway.web.http1 import rules
from gateway.web.http1.messages import Request, Resource, RouteTable
from gateway.web.limits import Limits

USED_HEADERS = frozenset(
    {
        b"connection",
        b"content-encoding",
        b"content-length",
        b"expect",
        b"forwarded",
        b"host",
        b"transfer-encoding",
        b"x-forwarded-for",
        b"x-real-ip",
    }
)
"""Headers that are kept. All others are dropped, which saves their memory."""
PIECE = 2048
"""Bytes that are parsed at a time: most signals with their head, or at most 80 of the smallest requests.

Parsing those takes under 1 ms, so no connection keeps the loop longer. A body of 64 KiB takes 32 pieces, 50 µs."""
REQUEST_LINE_START = re.compile(rb"[A-Z]+ /")
ABSOLUTE_URL_SERVER = re.compile(r"https?://[^/]*", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class Exchange:
    """A request on its way to an answer."""

    request: Request
    resource: Resource | None = None
    """None until the head is complete."""
    refusal: GatewayError | None = None
    closes: bool = False
    """True if the connection closes after the answer."""
    version: str = "1.1"
    awaits_continue: bool = False
    """True while the sender waits for 100 Continue before it sends the body."""
    target: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    body_size: int = 0
    """Bytes of the body so far."""
    wire_size: int = 0
    """Bytes of all pieces so far, but for the first."""
    awaits_body: bool = False
    """True once the body's time limit runs."""

    def is_oversized(self, limits: Limits) -> bool:
        """Return True if an incomplete body is too long for an answer, because its chunks are mostly empty."""
        if self.refusal or self.resource is None:
            return False
        return self.wire_size > limits.chunk_overhead * self.resource.max_body + limits.head_size


class RequestReader:
    """Parser of one connection. `feed` appends complete and refused exchanges to `ready`, `parse_on` those read ahead.

    llhttp calls the methods named on_…. `routes` returns the current route table.
    """

    def __init__(self, peer: str, routes: Callable[[], RouteTable], limits: Limits) -> None:
        self.ready: deque[Exchange] = deque()
        self.incoming: Exchange | None = None
        """The exchange of an incomplete request."""
        self._peer = peer
        self._routes = routes
        self._limits = limits
        self.unparsed = b""
        """Bytes that wait until requests before them are answered."""
        self._ended = False
        """True once the last request of the connection is complete. Bytes behind it are dropped."""
        self._dropped = False
        """True if a request behind the last one was dropped."""
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, data: bytes) -> None:
        """Take the bytes of a read. Never raises: malformed requests are refused exchanges."""
        self.unparsed = self.unparsed + data if self.unparsed else data
        self.parse_on()

    def parse_on(self) -> None:
        """Parse bytes that were read, until `read_ahead` requests are ready."""
        while self.unparsed and len(self.ready) < self._limits.read_ahead:
            # One piece at a time, because llhttp can't be stopped within the bytes that it was given.
            piece, self.unparsed = self.unparsed[:PIECE], self.unparsed[PIECE:]
            before, rest = self.incoming, piece
            while rest and not self._ended:
                rest = self._parse(rest)
            if self.incoming and self.incoming is before:
                self._count(self.incoming, len(piece))

    def _parse(self, data: bytes) -> bytes:
        """Parse bytes and return the bytes to parse next."""
        ready = len(self.ready)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:  # raised after on_message_complete, without reading the body
            return self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            first = len(self.ready) == ready  # else `data` does not begin with the line of the malformed request
            self._refuse(self.incoming or self._begin(), describe_parser_error(error, data if first else b""))
            self.incoming = None
            self._ended = True
        return b""

    def _ignore_upgrade(self, rest: bytes) -> bytes:
        """Return the last request once more, without its offer to upgrade, and the bytes behind it.

        Java's HTTP client offers HTTP/2 with each request. llhttp then takes all bytes behind the head, the body
        included, for the new protocol. So a new parser reads the request without the offer.
        """
        if self._dropped or not self.ready or self.ready[-1].refusal:
            return b""
        exchange = self.ready.pop()
        self._ended = False
        request = exchange.request
        options = re.split(rb"[ \t,]+", request.headers.pop(b"connection", b"").lower())
        request.headers[b"connection"] = b",".join(option for option in options if option != b"upgrade")
        headers = b"".join(b"%s: %s\r\n" % header for header in request.headers.items())
        self._parser = httptools.HttpRequestParser(self)
        return b"%s %s HTTP/%s\r\n%s\r\n%s" % (
            request.method.encode(),
            exchange.target,
            exchange.version.encode(),
            headers,
            rest,
        )

    def _count(self, exchange: Exchange, size: int) -> None:
        """Count the bytes of an incomplete request, and refuse it if its head is too long."""
        exchange.wire_size += size
        if exchange.resource is None and exchange.wire_size > self._limits.head_size:
            self._refuse(exchange, HeadTooLarge())

    def _begin(self) -> Exchange:
        self.incoming = Exchange(Request(self._peer, time.perf_counter()))
        return self.incoming

    def _refuse(self, exchange: Exchange, error: GatewayError) -> None:
        if exchange.refusal is None:
            exchange.refusal = error
            exchange.closes = True
            exchange.chunks.clear()
            self._add(exchange)

    def _add(self, exchange: Exchange) -> None:
        if self._ended:  # llhttp may parse more requests in the piece that has the last one
            self._dropped = True
        else:
            self.ready.append(exchange)

    # -- called by llhttp

    def on_message_begin(self) -> None:
        self._begin()

    def on_url(self, part: bytes) -> None:
        assert self.incoming
        self.incoming.target += part
        if len(self.incoming.target) > self._limits.target_size:
            self._refuse(self.incoming, TargetTooLong())

    def on_header(self, name: bytes, value: bytes) -> None:
        exchange, name = self.incoming, name.lower()
        assert exchange
        # Once the resource is known, a header is a trailer behind the body, and must not change the request.
        if name in USED_HEADERS and exchange.resource is None:
            headers = exchange.request.headers
            given = headers.get(name)
            headers[name] = value if given is None else given + b"," + value

    def on_headers_complete(self) -> None:
        exchange = self.incoming
        assert exchange
        request = exchange.request
        request.method = self._parser.get_method().decode()
        request.path = path_of(exchange.target)
        exchange.resource = self._routes().find(request.path)
        if exchange.refusal:
            return
        exchange.version = self._parser.get_http_version()
        exchange.awaits_continue = rules.expects_continue(exchange.version, request.headers)
        if fault := rules.find_fault(exchange.version, exchange.target, request.headers):
            self._refuse(exchange, fault)
        elif request.method not in exchange.resource.methods:
            self._refuse(exchange, MethodNotAllowed())
        # llhttp has refused a length that is no number, is negative, exceeds 64 bits or is given twice.
        elif int(request.headers.get(b"content-length", 0)) > exchange.resource.max_body:
            self._refuse(exchange, TooLarge())

    def on_body(self, part: bytes) -> None:
        exchange = self.incoming
        assert exchange
        assert exchange.resource
        exchange.body_size += len(part)
        if exchange.body_size > exchange.resource.max_body:
            self._refuse(exchange, TooLarge())
        elif not exchange.refusal:
            exchange.chunks.append(part)

    def on_message_complete(self) -> None:
        exchange, self.incoming = self.incoming, None
        assert exchange
        if not exchange.refusal:
            exchange.request.body = b"".join(exchange.chunks)
            exchange.closes = not self._parser.should_keep_alive()
            if exchange.version == "1.0":
                exchange.closes = exchange.closes or rules.asks_to_close(exchange.request.headers)
            self._add(exchange)
        if exchange.closes:
            self._ended = True


def path_of(target: bytes) -> str:
    """Return the path of a request target: without the query, and without the server of an absolute URL."""
    path = target.partition(b"?")[0].decode("latin-1")
    return path if path.startswith("/") else ABSOLUTE_URL_SERVER.sub("", path) or "/"


def describe_parser_error(error: httptools.HttpParserError, data: bytes) -> GatewayError:
    """Return the error to answer. llhttp knows registered methods only, so another method is a parser error.

    `data` begins with the request line, or is empty.
    """
    if "HTTP version" in str(error):
        return UnsupportedVersion()
    if isinstance(error, httptools.HttpParserInvalidMethodError) and REQUEST_LINE_START.match(data):
        return MethodNotAllowed()
    return MalformedRequest(f"Malformed HTTP: {error}")
