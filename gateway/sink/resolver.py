"""Names to addresses, on threads of their own.

A name server that does not answer holds a thread for half a minute, and there is no taking it back. On the loop's
shared threads a few such routes would hold up every sink that works there (files, for one), and the process's end.
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
    """Asks the system, on a new thread each time, for which no end waits. aiohttp asks once a host at a time, and
    connects to the addresses that it is given here and to no other: those that `permits` was asked for."""

    def __init__(self, permits: Callable[[Address], bool]) -> None:
        self._permits = permits

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises OSError where there are none, Misconfigured where one is not permitted."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Any]] = loop.create_future()

        def ask() -> None:
            try:
                answer: Any = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            except OSError as error:
                answer = error
            with contextlib.suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(settle, found, answer)

        threading.Thread(target=ask, name="resolver", daemon=True).start()
        results = [make_result(host, *info) for info in await found]
        for result in results:
            require_permitted(result["host"], self._permits)
        return results

    async def close(self) -> None:
        """Nothing is kept."""


def require_permitted(address: str, permits: Callable[[Address], bool]) -> None:
    """Misconfigured where an address, as a socket takes it, is not permitted or is none."""
    try:
        permitted = permits(ipaddress.ip_address(address))
    except ValueError:
        permitted = False
    if not permitted:
        raise Misconfigured("the target's address is not one that this route may connect to")


def require_host_permitted(host: str, permits: Callable[[Address], bool]) -> None:
    """The same for a host that is an address itself, which no resolver is asked for. What a socket would take for one,
    such as 2130706433, is not permitted in any form but the usual."""
    if ":" in host or host.replace(".", "").isdigit():
        require_permitted(host, permits)


def settle(found: asyncio.Future[list[Any]], answer: Any) -> None:
    """Tell who waits, if anyone still does."""
    if found.done():
        return
    if isinstance(answer, OSError):
        found.set_exception(answer)
    else:
        found.set_result(answer)


def make_result(host: str, family: int, _type: int, proto: int, _name: str, address: tuple[Any, ...]) -> ResolveResult:
    # The address of a link-local IPv6 host is good with its scope only.
    scope = f"%{address[3]}" if len(address) > 3 and address[3] else ""
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(
        hostname=host, host=f"{address[0]}{scope}", port=address[1], family=family, proto=proto, flags=flags
    )
