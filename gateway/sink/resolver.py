"""Resolves host names on separate threads.

A name server that does not answer blocks a thread for half a minute, and the call can't be cancelled. In the event
loop's shared thread pool, a few such routes would block all file sinks, and the end of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Any

from gateway.errors import Misconfigured, Unanswered

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Permits = Callable[[Address], bool]
"""A decision about an address: True if the sink may connect to it."""
Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
"""An address as `socket.getaddrinfo` returns it."""


async def resolve(host: str, port: int, permits: Permits) -> list[Found]:
    """Return the addresses of a host; all have passed `permits`.

    Raises Misconfigured if one address is not permitted, and
    Unanswered if the host has none.
    """
    require_host_permitted(host, permits)
    if is_address(host):
        return list(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    for result in (results := await ask_on_a_thread(host, port)):
        require_permitted(str(result[4][0]), permits)
    return results


async def ask_on_a_thread(host: str, port: int) -> list[Found]:
    """Return the addresses of a name. Raises Unanswered if it has none."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Found]] = loop.create_future()

    def ask() -> None:
        try:
            answer: Any = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        except (OSError, UnicodeError) as error:
            answer = error
        with contextlib.suppress(RuntimeError):  # the event loop was closed meanwhile
            loop.call_soon_threadsafe(settle, found, answer)

    # A daemon: the process may end while a name server does not answer.
    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        return await found
    except (OSError, UnicodeError) as error:
        raise Unanswered("the target's name can't be resolved") from error


def require_permitted(address: str, permits: Permits) -> None:
    """Raise Misconfigured if a socket's address is not permitted, or is not an IP address."""
    try:
        permitted = permits(ipaddress.ip_address(address))
    except ValueError:
        permitted = False
    if not permitted:
        raise Misconfigured("the target's address is not one that this route may connect to")


def require_host_permitted(host: str, permits: Permits) -> None:
    """Raise Misconfigured if a host is an IP address and is not permitted.

    Unusual forms that a socket takes for an address, such as 2130706433, are never permitted.
    """
    if is_address(host):
        require_permitted(host, permits)


def is_address(host: str) -> bool:
    """Return True if a host looks like an IP address: no name is all digits and dots."""
    return ":" in host or host.replace(".", "").isdigit()


def settle(found: asyncio.Future[list[Found]], answer: Any) -> None:
    """Give the answer to the coroutine that waits for it, unless that was cancelled."""
    if found.done():
        return
    if isinstance(answer, Exception):
        found.set_exception(answer)
    else:
        found.set_result(answer)
