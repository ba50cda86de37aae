"""Admin server: Tornado's, with the same limits and the same gate as the public listener."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerConnectionDelegate
from tornado.iostream import IOStream

from gateway.metrics import Observer
from gateway.web.gate import Acceptor, Gate
from gateway.web.limits import MAX_BODY, Limits


class Guest:
    """An open connection of Tornado's server."""

    def __init__(self, address: str, stream: IOStream) -> None:
        self.address = address
        self.waiting_since = time.monotonic()
        self._stream = stream

    @property
    def idle_since(self) -> float | None:
        """The time since which a request is read, None while one is answered."""
        return self.waiting_since if self._stream.reading() else None

    def abort(self) -> None:
        self._stream.close()


class AdminServer(HTTPServer):
    """Tornado's HTTPServer with a gate. Make it with `make_admin_server`."""

    def initialize(self, app: HTTPServerConnectionDelegate, limits: Limits, observer: Observer) -> None:  # type: ignore[override]
        super().initialize(
            app,
            max_body_size=MAX_BODY,
            max_header_size=limits.head_size,
            idle_connection_timeout=limits.idle_timeout,
            body_timeout=limits.body_timeout,
        )
        self._gate = Gate("admin", lambda: limits, observer)
        self._guests: dict[IOStream, Guest] = {}
        self._acceptors: list[Acceptor] = []

    def add_sockets(self, sockets: Sequence[socket.socket]) -> None:  # type: ignore[override]
        """Accept connections on listening sockets. Tornado's own way would spin without free descriptors."""
        self._acceptors += [Acceptor(each, self._gate, self._accept) for each in sockets]

    def stop(self) -> None:
        """Stop accepting. Open connections go on."""
        for acceptor in self._acceptors:
            acceptor.close()

    def start_request(self, server_conn: Any, request_conn: Any) -> Any:
        """Note that a connection waits for its next request."""
        if guest := self._guests.get(server_conn.stream):
            guest.waiting_since = time.monotonic()
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: Any) -> None:
        """Note that a connection has ended."""
        super().on_close(server_conn)
        if guest := self._guests.pop(server_conn.stream, None):
            self._gate.leave(guest)

    def _accept(self, accepted: socket.socket, address: Any) -> None:
        peer = address[0].partition("%")[0] if accepted.family in (socket.AF_INET, socket.AF_INET6) else ""
        stream = IOStream(accepted, max_buffer_size=self.max_buffer_size)
        guest = Guest(peer, stream)
        if self._gate.admit(guest):
            self._guests[stream] = guest
            self.handle_stream(stream, address)
        else:
            stream.close()
