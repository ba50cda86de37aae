"""Names to addresses, on threads of their own.

A name server that does not answer holds a thread for half a minute, and there is no taking it back. On the loop's
shared threads a few such routes would hold up every sink that works there (files, for one), and the process's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult


class ThreadResolver(AbstractResolver):
    """Asks the system, on a new thread each time, for which no end waits. aiohttp asks once a host at a time."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises OSError where there are none."""
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
        return [make_result(host, *info) for info in await found]

    async def close(self) -> None:
        """Nothing is kept."""


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
