"""What each listener serves: the route tables, and the servers."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.netutil import add_accept_handler

from gateway.errors import NotFound
from gateway.ingest import Ingest
from gateway.metrics import Observer, guard
from gateway.web import ops, signals
from gateway.web.addresses import Addresses
from gateway.web.base import make_application
from gateway.web.connection import BODY_TIMEOUT, IDLE, MAX_HEAD, Connection, Resource

log = structlog.get_logger()

MAX_BODY = 64 * 1024


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


class PublicServer:
    """The server of the public listener, whose `app` may be replaced at any time; it does not listen yet."""

    def __init__(self, app: Listener, tls: ssl.SSLContext | None = None) -> None:
        self.app = app
        self._tls = tls
        self._sockets: list[socket.socket] = []
        self._stops: list[Callable[[], None]] = []
        self._making: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()

    def add_sockets(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on listening sockets."""
        self._sockets += sockets
        self._stops += [add_accept_handler(each, self._accept) for each in sockets]

    def stop(self) -> None:
        """Accept no more. What is connected goes on."""
        for stop in self._stops:
            stop()
        for each in self._sockets:
            each.close()

    async def close_all_connections(self) -> None:
        """End every connection."""
        for making in self._making:
            making.cancel()
        for connection in list(self._connections):
            connection.close()

    def _accept(self, accepted: socket.socket, address: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(accepted, address))
        self._making.add(task)
        task.add_done_callback(self._making.discard)

    async def _connect(self, accepted: socket.socket, address: tuple[str, int]) -> None:
        peer = ""
        try:
            if accepted.family in (socket.AF_INET, socket.AF_INET6):
                peer = address[0]
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # answers are small, and sent whole
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Connection(peer, lambda: self.app, self._connections), accepted, ssl=self._tls
            )
        except OSError as error:  # gone already, or no TLS
            log.info("connection.failed", address=peer, reason=str(error))


def make_admin_server(app: web.Application) -> HTTPServer:
    """The server of the admin listener, with limits on sizes and times; it does not listen yet."""
    return HTTPServer(
        app,
        max_body_size=MAX_BODY,
        max_header_size=MAX_HEAD,
        idle_connection_timeout=IDLE,
        body_timeout=BODY_TIMEOUT,
    )
