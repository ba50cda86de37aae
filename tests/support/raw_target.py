"""A target that answers with bytes as they are, for tests of answers that no HTTP server gives. By hand:

python -m tests.support.raw_target endless-early-hints
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
import sys
from collections.abc import AsyncIterator, Callable

from tornado.iostream import IOStream, StreamClosedError
from tornado.netutil import bind_sockets
from tornado.tcpserver import TCPServer

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(b" " * 32 * 1024 * 1024)
Answer = Callable[[], AsyncIterator[bytes]]


async def endlessly(before: bytes, again: bytes, seconds: float = 0.0) -> AsyncIterator[bytes]:
    yield before
    while True:
        yield again
        if seconds:
            await asyncio.sleep(seconds)


async def once(answer: bytes) -> AsyncIterator[bytes]:
    yield answer


ATTACKS: dict[str, Answer] = {
    "endless-early-hints": lambda: endlessly(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2000),
    "endless-early-hints-with-links": lambda: endlessly(
        b"", (b"HTTP/1.1 103 Early Hints\r\n" + b"Link: </a>\r\n" * 90 + b"\r\n") * 50
    ),
    "endless-status-line": lambda: endlessly(b"HTTP/1.1 200 ", b"x" * 50_000),
    "endless-header": lambda: endlessly(OK + b"X: ", b"x" * 50_000),
    "endless-headers": lambda: endlessly(OK, b"X: y\r\n" * 10_000),
    "dripping-headers": lambda: endlessly(OK, b"X", 0.02),
    "dripping-early-hints": lambda: endlessly(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.02),
}
"""Answers that never come to the end of their headers."""

BODIES: dict[str, Answer] = {
    "endless-body": lambda: endlessly(OK + b"\r\n", b"x" * 50_000),
    "endless-chunks": lambda: endlessly(CHUNKED, b"C350\r\n" + b"x" * 50_000 + b"\r\n"),
    "endless-small-chunks": lambda: endlessly(CHUNKED, b"1\r\nx\r\n" * 10_000),
    "endless-chunk-extension": lambda: endlessly(CHUNKED + b"1;", b"x" * 50_000),
    "endless-trailer": lambda: endlessly(CHUNKED + b"0\r\nX: ", b"x" * 50_000),
    "endless-trailers": lambda: endlessly(CHUNKED + b"0\r\n", b"X: y\r\n" * 10_000),
    "huge-body": lambda: endlessly(OK + b"Content-Length: 999999999999\r\n\r\n", b"x" * 50_000),
    "bomb": lambda: once(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB),
    "short-body": lambda: once(OK + b"Content-Length: 500\r\n\r\nthanks"),
    "no-chunks": lambda: once(CHUNKED + b"thanks\r\n"),
    "long-chunk": lambda: once(CHUNKED + b"2\r\nthanks\r\n0\r\n\r\n"),
    "wrong-coding": lambda: once(OK + b"Content-Encoding: gzip\r\nContent-Length: 6\r\n\r\nthanks"),
    "cut-coding": lambda: once(OK + b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + BOMB[:20]),
    "unknown-coding": lambda: once(OK + b"Content-Encoding: br\r\nContent-Length: 6\r\n\r\nthanks"),
    "unknown-transfer-coding": lambda: once(OK + b"Transfer-Encoding: gzip\r\n\r\nthanks"),
    "two-lengths": lambda: once(OK + b"Content-Length: 6\r\nContent-Length: 7\r\n\r\nthanks"),
    "negative-length": lambda: once(OK + b"Content-Length: -6\r\n\r\nthanks"),
    "dripping-body": lambda: endlessly(OK + b"Content-Length: 1000\r\n\r\n", b"x", 0.02),
    "silent-body": lambda: endlessly(OK + b"Content-Length: 1000\r\n\r\nx", b"", 3600),
}
"""Answers of 200 with a body that can't be read."""


class RawTarget(TCPServer):
    """A server on 127.0.0.1. `answer` makes each answer; the connection is closed after it unless `keep`."""

    def __init__(self, answer: Answer, keep: bool = False) -> None:
        super().__init__()
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""
        self.answer = answer
        self.keep = keep
        self._streams: set[IOStream] = set()

    def listen_locally(self) -> str:
        """Listen in the running event loop, and return the URL."""
        sockets = bind_sockets(0, "127.0.0.1")
        self.add_sockets(sockets)
        self.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        return self.url

    async def close(self) -> None:
        """Stop, and close all connections."""
        self.stop()
        for stream in list(self._streams):
            stream.close()
        await asyncio.sleep(0)

    async def handle_stream(self, stream: IOStream, address: object) -> None:
        self.connections += 1
        self._streams.add(stream)
        with contextlib.suppress(StreamClosedError):
            while True:
                await self._read(stream)
                async for piece in self.answer():
                    await stream.write(piece)
                if not self.keep:
                    break
        stream.close()
        self._streams.discard(stream)

    async def _read(self, stream: IOStream) -> None:
        head = await stream.read_until(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await stream.read_bytes(int(length[1])) if length and int(length[1]) else b""
        self.requests.append(head + body)


async def main(name: str) -> None:
    target = RawTarget({**ATTACKS, **BODIES}[name])
    print(target.listen_locally(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
