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

from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.errors import Misconfigured

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ThreadResolver(AbstractResolver):
    """Resolves a name with the system's resolver, each time on a new daemon thread.

    aiohttp resolves a host once at a time, and connects only to the addresses returned here. All have passed `permits`.
    """

    def __init__(self, permits: Callable[[Address], bool]) -> None:
        self._permits = permits

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises OSError if it has none, Misconfigured if one is not permitted."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Any]] = loop.create_future()

        def ask() -> None:
            try:
                answer: Any = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            except OSError as error:
                answer = error
            with contextlib.suppress(RuntimeError):  # the event loop was closed meanwhile
                loop.call_soon_threadsafe(settle, found, answer)

        # A daemon: the process may end while a name server does not answer.
        threading.Thread(target=ask, name="resolver", daemon=True).start()
        results = [make_result(host, *info) for info in await found]
        for result in results:
            require_permitted(result["host"], self._permits)
        return results

    async def close(self) -> None:
        """Do nothing: a resolver has no resources."""


def require_permitted(address: str, permits: Callable[[Address], bool]) -> None:
    """Raise Misconfigured if a socket's address is not permitted, or is not an IP address."""
    try:
        permitted = permits(ipaddress.ip_address(address))
    except ValueError:
        permitted = False
    if not permitted:
        raise Misconfigured("the target's address is not one that this route may connect to")


def require_host_permitted(host: str, permits: Callable[[Address], bool]) -> None:
    """Raise Misconfigured if a host is an IP address and is not permitted.

    The resolver never sees such a host. Unusual forms that a socket takes for an address, such as 2130706433, are never
    permitted.
    """
    if ":" in host or host.replace(".", "").isdigit():
        require_permitted(host, permits)


def settle(found: asyncio.Future[list[Any]], answer: Any) -> None:
    """Give the answer to the coroutine that waits for it, unless that was cancelled."""
    if found.done():
        return
    if isinstance(answer, OSError):
        found.set_exception(answer)
    else:
        found.set_result(answer)


def make_result(host: str, family: int, _type: int, proto: int, _name: str, address: tuple[Any, ...]) -> ResolveResult:
    # A link-local IPv6 address is valid only with its scope.
    scope = f"%{address[3]}" if len(address) > 3 and address[3] else ""
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(
        hostname=host, host=f"{address[0]}{scope}", port=address[1], family=family, proto=proto, flags=flags
    )
