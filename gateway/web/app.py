"""What each listener serves: the route tables, and the servers."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from tornado import web
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.tcpserver import TCPServer

from gateway.errors import NotFound
from gateway.ingest import Ingest
from gateway.metrics import Observer, guard
from gateway.web import ops, signals
from gateway.web.addresses import Addresses
from gateway.web.base import make_application
from gateway.web.connection import BODY_TIMEOUT, CHUNK, IDLE, MAX_HEAD, Connection, Resource

MAX_BODY = 64 * 1024
MAX_BUFFER = 4 * CHUNK
"""Bytes that are read ahead of what is being answered, and that wait for a sender who does not read."""


class Listener:
    """The first resource whose pattern a path matches serves the request; the last must match any."""

    def __init__(self, routes: Sequence[tuple[str, Resource]]) -> None:
        self._routes = [(re.compile(pattern, re.DOTALL), resource) for pattern, resource in routes]
        self.malformed = routes[-1][1]

    def find(self, path: str) -> Resource:
        """Who serves a path."""
        for pattern, resource in self._routes:
            if pattern.fullmatch(path):
                return resource
        raise NotFound()


def public_app(
    ingest: Ingest,
    max_body: int = MAX_BODY,
    trusted_proxies: Sequence[str] = (),
    observer: Observer | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Listener:
    """The public listener."""
    told = guard(observer or Observer())
    return Listener(
        [
            (r"/signals/[^/]+", signals.Signals(ingest, Addresses(trusted_proxies), max_body, told, now)),
            (r"/healthz", ops.Health(ingest)),
            (r".*", ops.Nothing(max_body, told)),
        ]
    )


def admin_app(readiness: ops.Readiness, observer: Observer) -> web.Application:
    """The admin listener."""
    return make_application(
        [
            ("/readyz", ops.Ready, {"readiness": readiness}),
            ("/metrics", ops.Metrics, {"observer": observer}),
        ]
    )


class PublicServer(TCPServer):
    """The server of the public listener, whose `app` may be replaced at any time; it does not listen yet."""

    def __init__(self, app: Listener, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(ssl_options=tls, max_buffer_size=MAX_BUFFER)
        self.app = app
        self._connections: set[Connection] = set()

    async def handle_stream(self, stream: IOStream, address: tuple[str, int]) -> None:
        """A connection was made."""
        stream.set_nodelay(True)  # answers are small, and sent whole
        named = stream.socket.family in (socket.AF_INET, socket.AF_INET6)
        connection = Connection(stream, address[0] if named else "", lambda: self.app)
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)

    async def close_all_connections(self) -> None:
        """Cut every connection."""
        for connection in list(self._connections):
            connection.close()


def make_admin_server(app: web.Application) -> HTTPServer:
    """The server of the admin listener, with limits on sizes and times; it does not listen yet."""
    return HTTPServer(
        app,
        max_body_size=MAX_BODY,
        max_header_size=MAX_HEAD,
        idle_connection_timeout=IDLE,
        body_timeout=BODY_TIMEOUT,
    )
