"""One connection to a target. Bytes stay in the socket until they are asked for, so a target can't fill the memory."""

from __future__ import annotations

import asyncio
from typing import cast

from gateway.errors import Unanswered

BUFFER_BYTES = 64 * 1024
"""Bytes that may wait before reading pauses. One read of the event loop may add 256 KiB."""


class Connection(asyncio.Protocol):
    """A connection that is read piece by piece. `taken` counts the bytes read since `begin`.

    `was_dropped` is True if the target closed it without one byte of an answer.
    """

    def __init__(self) -> None:
        self.taken = 0
        self.was_dropped = False
        self._buffer = bytearray()
        self._ended = False
        self._paused = False
        self._parked: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._parked is not None:  # nothing was asked for
            self.abort()
            return
        self._buffer += data
        if len(self._buffer) >= BUFFER_BYTES and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self.was_dropped = not self.taken and not self._buffer
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- called by the client

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    @transport.setter
    def transport(self, transport: asyncio.Transport) -> None:
        """Replace the transport by one with TLS. Nothing may have come that the tunnel did not ask for."""
        self._transport = transport

    def park(self, seconds: float) -> bool:
        """Keep the open connection for a next request, for that long. Return False if it can't have one."""
        if self._ended or self._buffer or self._paused:
            return False
        self._parked = asyncio.get_running_loop().call_later(seconds, self.abort)
        return True

    @property
    def is_closed(self) -> bool:
        return self._ended or self.transport.is_closing()

    def unpark(self) -> bool:
        """Take the connection for a next request. Return False if it was closed meanwhile."""
        if self._parked is not None:
            self._parked.cancel()
            self._parked = None
        return not self.is_closed

    @property
    def pending(self) -> int:
        """Return the number of bytes that can be taken now."""
        return len(self._buffer)

    def begin(self, request: bytes) -> None:
        """Send a request, and count the bytes of its answer from 0."""
        self.taken = 0
        if not self._ended:
            self.transport.write(request)

    async def fill(self, silence: float) -> bool:
        """Wait for more bytes. Return False at the connection's end. Raises TimeoutError after that many seconds."""
        if self._ended:
            return False
        before = len(self._buffer)
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(silence):
                await self._waiter
        finally:
            self._waiter = None
        return len(self._buffer) > before

    def take(self, size: int) -> bytes:
        """Take at most that many of the pending bytes."""
        piece = bytes(memoryview(self._buffer)[:size])
        del self._buffer[: len(piece)]
        self.taken += len(piece)
        return piece

    async def read_line(self, limit: int, silence: float) -> bytes:
        """Return the next line without its end. Raises Unanswered if it is longer, or if the connection ends."""
        start = 0
        while (end := self._buffer.find(b"\n", start, limit)) < 0:
            start = len(self._buffer)
            if start >= limit:
                raise Unanswered(f"the connection broke: a line of more than {limit} bytes")
            if not await self.fill(silence):
                raise Unanswered("the connection broke: it was closed before the answer's end")
        return self.take(end + 1).removesuffix(b"\n").removesuffix(b"\r")

    def abort(self) -> None:
        """Close at once. A target that is never done would keep an orderly end waiting."""
        self._ended = True
        self.transport.abort()
