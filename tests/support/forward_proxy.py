"""An HTTP proxy as companies run them: tunnels by CONNECT, and plain requests by their whole URL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from tests.support.process import free_port


class ForwardProxy:
    """A proxy on 127.0.0.1. `heads` has the first line and headers of each request that it received.

    Each name or address leads to 127.0.0.1, unless `names` maps it to a port of it. With `refusal`, an answer's first
    line, it refuses all.
    """

    def __init__(self, names: Mapping[str, int] | None = None) -> None:
        self.names = dict(names or {})
        self.heads: list[str] = []
        self.refusal = ""
        self.port = free_port()
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        """Return the first line of each request."""
        return [head.splitlines()[0] for head in self.heads]

    async def __aenter__(self) -> ForwardProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._passing):
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # transports end in the event loop's next turn

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        finally:
            self._passing.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        if self.refusal:
            writer.write(f"{self.refusal}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        method, url, _ = head.splitlines()[0].split(" ")
        place = url if method == "CONNECT" else url.split("/")[2]
        there, onward = await asyncio.open_connection("127.0.0.1", self._port_of(place))
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                onward.write(head.replace(url, "/" + url.split("/", 3)[3], 1).encode())
            await asyncio.gather(pass_on(reader, onward), pass_on(there, writer))
        finally:
            onward.close()

    def _port_of(self, place: str) -> int:
        host, _, port = place.rpartition(":")
        return self.names.get(host or place, int(port) if host else 80)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()
