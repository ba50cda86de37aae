"""Opens connections: names are resolved and checked, a proxy is asked for a tunnel, and TLS is begun."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import ssl
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

from gateway.errors import Misconfigured, RetryLater, Unanswered
from gateway.sink.client.connection import Connection
from gateway.sink.client.head import read_head
from gateway.sink.client.proxies import Proxies
from gateway.sink.client.url import Target, host_and_port
from gateway.sink.resolver import Found, Permits, resolve

CONNECT_SECONDS = 10.0
"""Seconds for a connection, and again for TLS."""
STAGGER_SECONDS = 0.25
"""Seconds after which a host's next address is tried too (RFC 8305 5)."""


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the settings of TLS with the system's certificates. Reading them takes some 20 ms, so once."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Dialer:
    """Opens connections to targets. `permits` decides about their addresses if `is_restricted`."""

    def __init__(self, permits: Permits, is_restricted: bool, proxies: Proxies) -> None:
        self._permits = permits
        self._is_restricted = is_restricted
        self._proxies = proxies

    def find_proxy(self, target: Target) -> Target | None:
        """Return the proxy to which a request is sent as a whole, None if it goes to the target or through a tunnel."""
        return None if target.is_tls or self._is_restricted else self._proxies.find(target)

    async def dial(self, target: Target) -> Connection:
        """Connect to a target. Raises Misconfigured, RetryLater or Unanswered."""
        proxy = self._proxies.find(target)
        if proxy is None:
            return await connect(await resolve(target.host, target.port, self._permits), target)
        connection = await connect_to_proxy(proxy)
        if self.find_proxy(target) is None:
            try:
                await self._tunnel(connection, proxy, target)
            except BaseException:
                connection.abort()
                raise
        return connection

    async def _tunnel(self, connection: Connection, proxy: Target, target: Target) -> None:
        """Have the proxy connect to a target, and begin TLS with the target."""
        place = await self._place(target)
        credentials = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
        connection.begin(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{credentials}\r\n".encode())
        try:
            head = await read_head(connection, CONNECT_SECONDS)
        except (TimeoutError, Unanswered):
            raise Unanswered("the proxy did not answer") from None
        if head.status >= 300:
            # A gateway error is the target's; every other refusal is about the proxy's own rules.
            kind = RetryLater if head.status >= 500 or head.status in (408, 429) else Misconfigured
            raise kind(f"the proxy answered {head.status} to CONNECT")
        if connection.pending:
            raise Unanswered("the proxy sent more than its answer")
        if target.is_tls:
            with tls_errors():
                connection.transport = await asyncio.get_running_loop().start_tls(  # type: ignore[assignment]
                    connection.transport,
                    connection,
                    tls_context(),
                    server_hostname=target.host.rstrip("."),
                    ssl_handshake_timeout=CONNECT_SECONDS,
                )

    async def _place(self, target: Target) -> str:
        """Return the tunnel's end. For a restricted sink it is an address that was checked.

        The proxy would resolve a name again, and might then reach an address that the sink must not reach.
        """
        if not self._is_restricted:
            return target.place
        try:
            found = await resolve(target.host, target.port, self._permits)
        except Unanswered:
            raise Unanswered("the target's name can't be resolved here, to check its address for the proxy") from None
        return host_and_port(str(found[0][4][0]), target.port)


async def connect_to_proxy(proxy: Target) -> Connection:
    try:
        addresses = await resolve(proxy.host, proxy.port, lambda _: True)
    except Unanswered:
        raise Unanswered("the proxy's name can't be resolved") from None
    try:
        return await connect(addresses, proxy)
    except Unanswered as error:
        raise Unanswered(f"the proxy: {error}") from error


async def connect(addresses: Sequence[Found], server: Target) -> Connection:
    """Return a connection to the first address that answers. Each next one is tried when the last has been silent."""
    attempts: list[asyncio.Task[Connection]] = []
    taken: Connection | None = None
    try:
        for address in addresses:
            attempts.append(asyncio.create_task(connect_to(address, server)))
            is_last = len(attempts) == len(addresses)
            if (taken := await first_of(attempts, None if is_last else STAGGER_SECONDS)) is not None:
                return taken
        raise attempts[0].exception() or Unanswered("can't connect")
    finally:
        for attempt in attempts:
            if not attempt.cancel() and not attempt.exception() and attempt.result() is not taken:
                attempt.result().abort()


async def first_of(attempts: Sequence[asyncio.Task[Connection]], seconds: float | None) -> Connection | None:
    """Return the first connection, None if all attempts failed or the time is over."""
    running = [attempt for attempt in attempts if not attempt.done()]
    deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
    while running:
        left = None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
        done, _ = await asyncio.wait(running, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return None
        running = [attempt for attempt in running if attempt not in done]
        for attempt in done:
            if attempt.exception() is None:
                return attempt.result()
    return None


async def connect_to(address: Found, server: Target) -> Connection:
    """Connect to one address, with TLS for https."""
    family, kind, protocol, _, place = address
    loop = asyncio.get_running_loop()
    endpoint = socket.socket(family, kind, protocol)
    try:
        endpoint.setblocking(False)
        await in_time(loop.sock_connect(endpoint, place))
        tls: dict[str, Any] = {}
        if server.is_tls:
            tls = {
                "ssl": tls_context(),
                "server_hostname": server.host.rstrip("."),
                "ssl_handshake_timeout": CONNECT_SECONDS,
            }
        with tls_errors():
            _, connection = await loop.create_connection(Connection, sock=endpoint, **tls)
    except BaseException:
        endpoint.close()
        raise
    return connection


async def in_time(work: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await work
    except TimeoutError:
        raise Unanswered("can't connect: no answer in time") from None
    except OSError as error:
        # asyncio's own words have the address.
        raise Unanswered(f"can't connect: {os.strerror(error.errno) if error.errno else 'refused'}") from error


@contextlib.contextmanager
def tls_errors() -> Iterator[None]:
    """Turn the errors of a handshake into Unanswered, with the certificate's fault but without the host's name."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        words = "it is for another name" if "match" in error.verify_message else error.verify_message
        raise Unanswered(f"can't connect: the certificate is not valid: {words}") from error
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "no answer in time"
        raise Unanswered(f"can't connect by TLS: {reason}") from error
