"""Accepting: listening sockets become connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence
from typing import Any

import structlog

from gateway.web.addresses import UNIX
from gateway.web.gate import Acceptor, Gate
from gateway.web.http1.connection import Connection
from gateway.web.http1.messages import RouteTable
from gateway.web.limits import Limits

log = structlog.get_logger()

READ_SIZE = 64 * 1024
"""Bytes of a read, a large body. What a connection has read ahead stays in memory while its answers are not read."""


class Server:
    """HTTP/1.1 server with the start and stop methods of Tornado's HTTPServer.

    `routes` may be replaced at any time: the next request uses the new table. `limits` may too: the next connection
    uses them.
    """

    def __init__(
        self,
        routes: RouteTable,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.routes = routes
        self.limits = limits or Limits()
        self._tls = tls
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._acceptors: list[Acceptor] = []
        self._gate = gate or Gate("public", lambda: self.limits)

    def add_sockets(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on listening sockets."""
        self._acceptors += [Acceptor(each, self._gate, self._accept) for each in sockets]

    def stop(self) -> None:
        """Stop accepting. Open connections go on."""
        for acceptor in self._acceptors:
            acceptor.close()

    async def close_all_connections(self) -> None:
        """Close every connection, after the answers in its buffer are sent."""
        for connection in self._gate.guests:
            assert isinstance(connection, Connection)
            connection.close()

    def _accept(self, accepted: socket.socket, address: Any) -> None:
        peer = UNIX
        if accepted.family in (socket.AF_INET, socket.AF_INET6):
            # A socket for both families gives IPv4 addresses as ::ffff:192.0.2.1, link-local ones with %interface.
            peer = address[0].removeprefix("::ffff:").partition("%")[0]
            with contextlib.suppress(OSError):  # the sender is gone already
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # answers are small and sent whole
        connection = Connection(peer, lambda: self.routes, self.limits, self._buffer, self._gate.leave)
        if self._gate.admit(connection):
            connection.task = asyncio.get_running_loop().create_task(self._connect(accepted, connection))
        else:
            accepted.close()

    async def _connect(self, accepted: socket.socket, connection: Connection) -> None:
        handshake_timeout = self.limits.body_timeout if self._tls else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, accepted, ssl=self._tls, ssl_handshake_timeout=handshake_timeout
            )
        except (OSError, asyncio.CancelledError) as error:  # the sender is gone, speaks no TLS, or has made room
            self._gate.leave(connection)
            log.info("connection.failed", address=connection.address, reason=str(error) or "closed by the gateway")
