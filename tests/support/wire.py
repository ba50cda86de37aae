"""A client that writes the bytes of HTTP/1.1 itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from tests.support.payloads import example, request

LIMIT = 64 * 1024
"""Bytes. The largest body that is taken."""
CHUNKED = "Transfer-Encoding: chunked"


class Wire:
    """A connection for raw bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def write(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))
        await self.writer.drain()

    async def answer(self, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers in lower case, body. The status is 0 if the connection was cut.

        An answer to HEAD names a length, and has no body.
        """
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return 0, {}, b""
        status, *lines = head.decode().strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0)) if has_body else 0
        return int(status.split()[1]), headers, await self.reader.readexactly(length)

    async def code(self, has_body: bool = True) -> int:
        return (await self.answer(has_body))[0]

    async def flood(self, part: bytes) -> None:
        """Write without end. Raises ConnectionError once the other side cuts the connection."""
        while True:
            await self.write(part)

    async def closed(self) -> bool:
        return await self.reader.read() == b""


Connect = Callable[[], contextlib.AbstractAsyncContextManager[Wire]]


def head(*headers: str, method: str = "POST", path: str = "/signals/bookshop", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: gateway", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def plain(body: bytes, *headers: str) -> bytes:
    return head(f"Content-Length: {len(body)}", *headers) + body


def chunks(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def padded(size: int) -> bytes:
    """Return a good body of exactly that many bytes."""
    body = request(example(padding=""))
    return request(example(padding="x" * (size - len(body))))
