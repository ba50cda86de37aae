"""What each listener serves: the route tables, and the servers with their limits."""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import cast

from tornado import httputil, web
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from gateway.ingest import Ingest
from gateway.metrics import NO_ACCOUNT, Observer, guard
from gateway.web import ops, signals
from gateway.web.addresses import Addresses
from gateway.web.base import make_application

MAX_BODY = 64 * 1024
MAX_HEADERS = 16 * 1024
IDLE = 75.0
"""Seconds that a connection may be idle, or take for its headers."""
ABSOLUTE = re.compile(r"https?://[^/?]*", re.IGNORECASE)


def public_app(
    ingest: Ingest,
    max_body: int = MAX_BODY,
    trusted_proxies: Sequence[str] = (),
    observer: Observer | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> httputil.HTTPServerConnectionDelegate:
    """The public listener: the first that matches serves the request."""
    told = guard(observer or Observer())
    endpoint = signals.Signals(ingest, Addresses(trusted_proxies), max_body, told, now)
    others = make_application(
        [("/healthz", ops.Health, {"ingest": ingest})],
        lambda code, seconds: told.signal_received(NO_ACCOUNT, code, seconds),
    )
    return Listener(
        [
            (r"/signals/[^/]+", endpoint),
            (r".*", others),
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


def make_server(
    app: httputil.HTTPServerConnectionDelegate, tls: ssl.SSLContext | None = None, max_body: int = MAX_BODY
) -> HTTPServer:
    """An HTTP server for one of the apps, with limits on sizes and times; it does not listen yet."""
    return Server(
        app,
        ssl_options=tls,
        max_body_size=max_body,
        max_header_size=MAX_HEADERS,
        idle_connection_timeout=IDLE,
        body_timeout=signals.BODY_TIMEOUT,
    )


class Server(HTTPServer):
    """Sends small answers at once. Tornado switches Nagle's algorithm off and on again around each answer, which costs
    two system calls; here it stays off."""

    def handle_stream(self, stream: IOStream, address: tuple[str, int]) -> None:
        """A connection was made."""
        stream.set_nodelay(True)
        stream.set_nodelay = leave_nodelay  # type: ignore[method-assign]
        super().handle_stream(stream, address)


def leave_nodelay(value: bool) -> None:
    """It is on, and stays so."""


class Listener(httputil.HTTPServerConnectionDelegate):
    """Hands each request to the first delegate whose pattern its path matches; the last must match any."""

    def __init__(self, routes: Sequence[tuple[str, httputil.HTTPServerConnectionDelegate]]) -> None:
        self._routes = [(re.compile(pattern, re.DOTALL), app) for pattern, app in routes]

    def start_request(self, server_conn: object, request_conn: httputil.HTTPConnection) -> httputil.HTTPMessageDelegate:
        return _Routed(self, server_conn, request_conn)

    def find(self, target: str) -> httputil.HTTPServerConnectionDelegate:
        """Who serves a request's target; a query is no part of the path."""
        path = target.partition("?")[0]
        return next(app for pattern, app in self._routes if pattern.fullmatch(path))


def in_origin_form(line: httputil.RequestStartLine) -> httputil.RequestStartLine:
    """Proxies may ask for a whole URL (RFC 9112 3.2.2): the path and the query of it are what is asked for."""
    if line.path.startswith("/"):
        return line
    return line._replace(path=ABSOLUTE.sub("", line.path) or "/")


class _Routed(httputil.HTTPMessageDelegate):
    """Stands for a request until its path is known."""

    def __init__(self, listener: Listener, server_conn: object, connection: httputil.HTTPConnection) -> None:
        self._listener = listener
        self._server_conn = server_conn
        self._connection = connection
        self._target = httputil.HTTPMessageDelegate()

    def headers_received(
        self, start_line: httputil.RequestStartLine | httputil.ResponseStartLine, headers: httputil.HTTPHeaders
    ) -> Awaitable[None] | None:
        line = in_origin_form(cast(httputil.RequestStartLine, start_line))
        self._target = self._listener.find(line.path).start_request(self._server_conn, self._connection)
        return self._target.headers_received(line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._target.data_received(chunk)

    def finish(self) -> None:
        self._target.finish()

    def on_connection_close(self) -> None:
        self._target.on_connection_close()
