"""Listening: a server begins to accept on an address, and its end is put on a stack."""

from __future__ import annotations

from contextlib import AsyncExitStack

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from gateway.errors import GatewayError
from gateway.web.http1 import Server


def listen(
    server: HTTPServer | Server,
    address: tuple[str, int],
    scheme: str,
    stack: AsyncExitStack,
    share: bool = False,
) -> str:
    """Listen on (host, port), and return the base URL. Port 0 is any free port.

    `share` lets other processes listen on the same port. The stack's end stops the server and closes its connections.
    Raises GatewayError if the address can't be used.
    """
    host, port = address
    try:
        sockets = bind_sockets(port, host, reuse_port=share)
    except OSError as error:
        raise GatewayError(f"can't listen on {host}:{port}: {error.strerror or error}") from error
    server.add_sockets(sockets)
    stack.push_async_callback(server.close_all_connections)
    stack.callback(server.stop)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{sockets[0].getsockname()[1]}"
