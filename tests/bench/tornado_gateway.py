"""The gateway with Tornado's HTTPServer on its public listener: python -m tests.bench.tornado_gateway serve --config …

Only for the comparison that `tests.bench.http` makes: it has none of the limits of gateway.web.http1.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Any

from tornado import httputil
from tornado.httpserver import HTTPServer

from gateway import cli
from gateway.web import listeners
from gateway.web.http1 import Answer, Request
from gateway.web.public import PublicRoutes


class TornadoServer(httputil.HTTPServerConnectionDelegate):
    """Replacement for gateway.web.http1.Server: Tornado's HTTPServer with this connection delegate."""

    def __init__(self, routes: PublicRoutes, tls: ssl.SSLContext | None = None, *unused: object) -> None:
        self.routes = routes
        self._server = HTTPServer(self, ssl_options=tls)

    def add_sockets(self, sockets: Sequence[socket.socket]) -> None:
        self._server.add_sockets(sockets)

    def stop(self) -> None:
        self._server.stop()

    async def close_all_connections(self) -> None:
        await self._server.close_all_connections()

    def start_request(self, server_conn: object, request_conn: httputil.HTTPConnection) -> TornadoExchange:
        """Return the delegate of one request; Tornado calls this."""
        return TornadoExchange(self.routes, request_conn)


class TornadoExchange(httputil.HTTPMessageDelegate):
    """One request: collects its body, has the resource answer it, and writes the answer."""

    _request: Request

    def __init__(self, routes: PublicRoutes, connection: httputil.HTTPConnection) -> None:
        self._routes = routes
        self._connection: Any = connection
        self._chunks: list[bytes] = []

    def headers_received(self, start_line: Any, headers: httputil.HTTPHeaders) -> None:
        peer = self._connection.context.remote_ip
        path = start_line.path.partition("?")[0]
        forwarded = {b"x-forwarded-for": headers.get("X-Forwarded-For", "").encode("latin-1")}
        self._request = Request(peer, time.perf_counter(), start_line.method, path, forwarded)

    def data_received(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def finish(self) -> None:
        self._request.body = b"".join(self._chunks)
        self._answering = asyncio.ensure_future(self._answer())

    def on_connection_close(self) -> None:
        self._chunks.clear()

    async def _answer(self) -> None:
        answer: Answer = await self._routes.find(self._request.path).answer(self._request)
        headers = httputil.HTTPHeaders({**answer.headers, "Content-Length": str(len(answer.body))})
        start = httputil.ResponseStartLine("HTTP/1.1", answer.code, httputil.responses[answer.code])
        self._connection.write_headers(start, headers, answer.body)
        self._connection.finish()


if __name__ == "__main__":
    listeners.Server = TornadoServer  # type: ignore[assignment,misc]
    cli.main(prog_name="cloudsignal")
