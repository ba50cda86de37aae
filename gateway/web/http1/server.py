"""Accepting: listening sockets become connections."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence

import structlog
from tornado.netutil import add_accept_handler

from gateway.web.http1.connection import Connection
from gateway.web.http1.messages import RouteTable
from gateway.web.limits import Limits

log = structlog.get_logger()


class Server:
    """HTTP/1.1 server with the start and stop methods of Tornado's HTTPServer.

    `routes` may be replaced at any time: the next request uses the new table. `limits` may too: the next connection
    uses them.
    """

    def __init__(self, routes: RouteTable, tls: ssl.SSLContext | None = None, limits: Limits | None = None) -> None:
        self.routes = routes
        self.limits = limits or Limits()
        self._tls = tls
        self._sockets: list[socket.socket] = []
        self._remove_handlers: list[Callable[[], None]] = []
        self._handshakes: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()

    def add_sockets(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on listening sockets."""
        self._sockets += sockets
        self._remove_handlers += [add_accept_handler(each, self._accept) for each in sockets]

    def stop(self) -> None:
        """Stop accepting. Open connections go on."""
        for remove_handler in self._remove_handlers:
            remove_handler()
        for each in self._sockets:
            each.close()

    async def close_all_connections(self) -> None:
        """Close every connection, after the answers in its buffer are sent."""
        for handshake in self._handshakes:
            handshake.cancel()
        for connection in list(self._connections):
            connection.close()

    def _accept(self, accepted: socket.socket, address: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(accepted, address))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _connect(self, accepted: socket.socket, address: tuple[str, int]) -> None:
        peer = ""
        try:
            if accepted.family in (socket.AF_INET, socket.AF_INET6):
                peer = address[0]
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # answers are small and sent whole
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Connection(peer, lambda: self.routes, self.limits, self._connections), accepted, ssl=self._tls
            )
        except OSError as error:  # the sender is gone, or does not speak TLS
            log.info("connection.failed", address=peer, reason=str(error))
