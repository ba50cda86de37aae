"""Requests over a pool of connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping

from gateway.errors import RetryLater, SinkError, Unanswered
from gateway.sink.client.body import Reading, can_follow, read_body
from gateway.sink.client.connection import Connection
from gateway.sink.client.dial import Dialer
from gateway.sink.client.head import Head, read_head
from gateway.sink.client.url import Target

IDLE_SECONDS = 15.0
"""Seconds that an unused connection is kept. Servers close them after 5 to 75 s, and a request may cross that."""
SPARE = Reading(limit=64 * 1024, silence=5.0)
"""The limits for a body that decides nothing. It may give a reason, and lets its connection be used again."""
SPARE_SECONDS = 5.0
"""Seconds for the whole of such a body."""
SAFE_METHODS = ("GET", "HEAD")
"""Methods that change nothing, so that a request may be sent again."""
MAX_SKIPPING = 8
"""Bodies of a sink skipped at a time. Further connections are closed, so a target can't use up the descriptors."""


class Client:
    """A pool of connections. No cookies and no redirects: nothing ties one delivery to another."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._idle: defaultdict[tuple[str, str, int], list[Connection]] = defaultdict(list)
        self._skipping: set[asyncio.Task[bytes]] = set()

    async def exchange(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes | None, reading: Reading
    ) -> tuple[Head, bytes]:
        """Send a request and return the whole answer. `reading.silence` is also the time for the head.

        Raises RetryLater, Misconfigured, or Unanswered if no complete answer came.
        """
        connection, head = await self._ask(method, target, headers, body, reading.silence)
        try:
            with timeouts():
                content = await read_body(connection, method, head, reading)
        except BaseException:
            connection.abort()
            raise
        self._give_back(connection, method, target, head)
        return head, content

    async def ask_status(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> tuple[Head, bytes]:
        """Send a request and return the answer's head, and the body only of a refusal. The body decides nothing.

        A success is returned as soon as its head is there. The body of another status is read within SPARE; it is
        empty if it is longer, slower or broken.
        """
        connection, head = await self._ask(method, target, headers, body, seconds)
        if not 200 <= head.status < 300:
            return head, await self._read_spare(connection, method, target, head)
        if not can_follow(method, head) or len(self._skipping) >= MAX_SKIPPING:
            connection.abort()
        else:
            task = asyncio.create_task(self._read_spare(connection, method, target, head))
            self._skipping.add(task)
            task.add_done_callback(self._skipping.discard)
        return head, b""

    async def close(self) -> None:
        """Close all connections."""
        for task in list(self._skipping):
            task.cancel()
        await asyncio.gather(*self._skipping, return_exceptions=True)
        for connections in self._idle.values():
            for connection in connections:
                connection.unpark()
                connection.abort()
        self._idle.clear()

    async def _ask(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> tuple[Connection, Head]:
        request = build_request(method, target, headers, body, self._dialer.find_proxy(target))
        if (kept := self._take_idle(target)) is not None:
            try:
                return kept, await self._send(kept, request, seconds)
            except Unanswered:
                # The target closed the idle connection while the request was on its way (RFC 9110 9.2.2).
                if method not in SAFE_METHODS or not kept.was_dropped:
                    raise
        connection = await self._dialer.dial(target)
        return connection, await self._send(connection, request, seconds)

    async def _send(self, connection: Connection, request: bytes, seconds: float) -> Head:
        try:
            connection.begin(request)
            with timeouts():
                return await read_head(connection, seconds)
        except BaseException:
            connection.abort()
            raise

    def _take_idle(self, target: Target) -> Connection | None:
        kept = self._idle[key_of(target)]
        while kept:
            connection = kept.pop()
            if connection.unpark():
                return connection
            connection.abort()
        return None

    def _give_back(self, connection: Connection, method: str, target: Target, head: Head) -> None:
        if not can_follow(method, head) or not connection.park(IDLE_SECONDS):
            connection.abort()
            return
        kept = self._idle[key_of(target)]
        kept[:] = [each for each in kept if not each.is_closed]
        kept.append(connection)

    async def _read_spare(self, connection: Connection, method: str, target: Target, head: Head) -> bytes:
        try:
            async with asyncio.timeout(SPARE_SECONDS):
                body = await read_body(connection, method, head, SPARE)
        except (SinkError, TimeoutError):
            connection.abort()
            return b""
        except BaseException:
            connection.abort()
            raise
        self._give_back(connection, method, target, head)
        return body


def key_of(target: Target) -> tuple[str, str, int]:
    return target.scheme, target.host, target.port


def build_request(
    method: str, target: Target, headers: Mapping[str, str], body: bytes | None, proxy: Target | None
) -> bytes:
    """Return the bytes of a request. To a proxy, its first line has the whole URL (RFC 9112 3.2.2)."""
    path = f"{target.scheme}://{target.host_header}{target.path}" if proxy else target.path
    sent = {"Host": target.host_header, "Accept": "*/*", "Accept-Encoding": "identity", **headers}
    if target.authorization:
        sent.setdefault("Authorization", target.authorization)
    if proxy is not None and proxy.authorization:
        sent["Proxy-Authorization"] = proxy.authorization
    if body is not None or method in ("POST", "PUT"):
        sent["Content-Length"] = str(len(body or b""))
    for name, value in sent.items():
        if any(character in name + value for character in "\r\n\0"):
            raise RetryLater(f"the header {name.encode('unicode_escape').decode()} would have a line break")
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + (body or b"")


@contextlib.contextmanager
def timeouts() -> Iterator[None]:
    """Turn a silence into Unanswered."""
    try:
        yield
    except TimeoutError as error:
        raise Unanswered("the target did not answer in time") from error
