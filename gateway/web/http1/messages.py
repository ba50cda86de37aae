"""Values and protocols at the wall between the HTTP/1.1 server and the resources behind it."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

from gateway.errors import GatewayError


@dataclass(slots=True, eq=False)
class Request:
    """An HTTP request: its head, and its body once that is complete."""

    peer: str
    """Address of the socket's other end, "" if it has none."""
    started: float
    """Time of the request's first byte, in seconds of `time.perf_counter`."""
    method: str = ""
    path: str = ""
    """Path as sent, percent-encoded, without the query and without the server of an absolute URL (RFC 9112 3.2.2)."""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    """Headers that the gateway uses, by name in lower case; see `gateway.web.http1.reader.USED_HEADERS`."""
    body: bytes = b""
    authenticated: bool = False
    """True once the resource has found a right key in it."""

    def header(self, name: bytes) -> str:
        """Return a header's value, "" if it is missing. Values of a repeated header are joined by commas."""
        return self.headers.get(name, b"").decode("latin-1")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, body and headers. The server adds Date, Content-Length and Connection."""

    code: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self, method: str, closes: bool, keeps_alive: bool = False) -> bytes:
        """Return the answer's bytes on the wire. `closes` announces that the connection closes after it.

        `keeps_alive` announces that it does not, to a sender of HTTP/1.0.
        """
        lines = [_encode_start(self.code, int(time.time()))]
        lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in self.headers.items()]
        if self.code != 204:
            lines.append(b"Content-Length: %d\r\n" % len(self.body))
        if closes:
            lines.append(b"Connection: close\r\n")
        elif keeps_alive:
            lines.append(b"Connection: keep-alive\r\n")
        return b"".join((*lines, b"\r\n", b"" if method == "HEAD" else self.body))


@functools.lru_cache(maxsize=16)
def _encode_start(code: int, second: int) -> bytes:
    """Return the status line and the Date header, which every answer has (RFC 9110 6.6.1)."""
    date = formatdate(second, usegmt=True)
    return f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\nDate: {date}\r\n".encode()


class Resource(Protocol):
    """The handler of one path pattern. Its methods never raise."""

    methods: frozenset[str]
    max_body: int
    """Bytes."""

    async def answer(self, request: Request) -> Answer:
        """Answer a complete request with one of `methods` and a body of at most `max_body`."""
        ...

    def refuse(self, request: Request, error: GatewayError) -> Answer:
        """Answer a request that was refused, usually before its body was complete."""
        ...


class RouteTable(Protocol):
    """The resources of a listener by path."""

    @property
    def fallback(self) -> Resource:
        """The resource that refuses malformed requests, which have no path."""
        ...

    def find(self, path: str) -> Resource:
        """Return the resource of a path."""
        ...
