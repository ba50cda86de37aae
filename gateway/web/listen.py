"""Listening: a server begins to accept on addresses, and its end is put on a stack."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from tornado.httpserver import HTTPServer

from gateway.config import Address
from gateway.errors import GatewayError
from gateway.web.http1 import Server

BACKLOG = 128
"""Connections that the system keeps waiting until they are accepted."""


def listen(
    server: HTTPServer | Server,
    addresses: Sequence[Address],
    scheme: str,
    stack: AsyncExitStack,
    *,
    mode: int = 0o660,
    share: bool = False,
    inherited: Sequence[int] = (),
) -> list[str]:
    """Listen on addresses, and return the base URL of each. Port 0 is any free port.

    `mode` is that of Unix sockets. `share` lets other processes listen on the same ports. `inherited` are descriptors
    of the Unix sockets, in their order, if another process has opened them. The stack's end stops the server, closes
    its connections and removes its Unix sockets. Raises GatewayError if an address can't be used.
    """
    left = list(inherited)
    sockets, urls = [], []
    for address in addresses:
        if left and address.is_unix:
            opened = [socket.socket(fileno=left.pop(0))]
        elif address.is_unix:
            opened = [open_unix(address, mode, stack.callback)]
        else:
            opened = open_ports(address, share, both=not has_ipv4_beside(address, addresses))
        for each in opened:
            stack.callback(each.close)
        sockets += opened
        urls.append(url_of(address, scheme, opened[0]))
    server.add_sockets(sockets)
    stack.push_async_callback(server.close_all_connections)
    stack.callback(server.stop)
    return urls


def has_ipv4_beside(address: Address, addresses: Sequence[Address]) -> bool:
    """Return True if the same port of all IPv4 addresses is listed too, so that [::] must leave it alone."""
    return any(other.is_any_ipv4 and other.port == address.port != 0 for other in addresses)


def url_of(address: Address, scheme: str, listening: socket.socket) -> str:
    """Return the base URL at which the machine itself can reach an address. A Unix socket has its path only."""
    if address.is_unix:
        return str(address)
    host = "127.0.0.1" if address.is_any else address.host
    return f"{scheme}://{Address(host, listening.getsockname()[1])}"


def open_ports(address: Address, share: bool = False, both: bool = True) -> list[socket.socket]:
    """Return listening sockets of all addresses of a host. With `both`, [::] is for IPv4 too. Raises GatewayError."""
    host, port = address
    opened: list[socket.socket] = []
    try:
        found = sorted(set(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)))
        for family, _, _, _, place in found:
            # All addresses of one host get the same port, also if it may be any.
            chosen = opened[0].getsockname()[1] if opened else port
            try:
                opened.append(open_port(family, (place[0], chosen, *place[2:]), share, both and address.is_any))
            except OSError as error:  # `localhost` has an IPv6 address also where a container has no IPv6
                if not opened or error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
    except OSError as error:
        for each in opened:
            each.close()
        raise GatewayError(f"can't listen on {address}: {error.strerror or error}") from error
    return opened


def open_port(family: int, place: Any, share: bool, both: bool) -> socket.socket:
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        listening.setblocking(False)
        listening.bind(place)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def open_unix(address: Address, mode: int, at_end: Callable[[Callable[[], None]], object]) -> socket.socket:
    """Return a listening Unix socket; `at_end` is given the function that removes it. Raises GatewayError.

    A socket that a killed process left behind is replaced.
    """
    path = address.host
    listening = socket.socket(socket.AF_UNIX)
    try:
        remove_stale(path)
        listening.setblocking(False)
        listening.bind(path)
        os.chmod(path, mode)  # before it listens: nobody can connect with other rights
        listening.listen(BACKLOG)
        own = os.stat(path).st_ino
    except OSError as error:
        listening.close()
        raise GatewayError(f"can't listen on {address}: {error.strerror or error}") from error
    at_end(lambda: remove_own(path, own))
    return listening


def remove_stale(path: str) -> None:
    """Remove a Unix socket on which nobody listens. Raises OSError if somebody does, or if it is another file."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError("there is a file of this name that is no socket")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)
                return
        raise OSError("another process listens on it")


def remove_own(path: str, inode: int) -> None:
    """Remove a Unix socket, unless another process has put its own in its place."""
    with suppress(OSError):
        if os.lstat(path).st_ino == inode:
            os.unlink(path)
