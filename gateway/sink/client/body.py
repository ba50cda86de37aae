"""The body of an answer, read up to a limit: of bytes, of chunks, and of bytes once inflated."""

from __future__ import annotations

import asyncio
import re
import zlib
from dataclasses import dataclass

from gateway.errors import RetryLater, Unanswered
from gateway.sink.client.connection import BUFFER_BYTES, Connection
from gateway.sink.client.head import Head

MAX_CHUNKS = 2000
"""Chunks of a body. Each costs time whatever its size; servers send chunks of some kilobytes."""
CHUNKS_AT_A_TIME = 20
"""Chunks between two turns of the event loop: a tenth of a millisecond."""
MAX_CHUNK_LINE = 1024
"""Bytes of a chunk's size with its extensions, which nobody uses."""
MAX_TRAILERS = 50
"""Trailers after a chunked body, which nobody uses."""

CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?")
GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


@dataclass(frozen=True, slots=True)
class Reading:
    """The limits of reading a body: its bytes, on the wire and inflated, and the longest silence (s)."""

    limit: int
    silence: float


async def read_body(connection: Connection, method: str, head: Head, reading: Reading) -> bytes:
    """Return the whole body, inflated.

    Raises RetryLater if it is over the limit, Unanswered if it is broken or incomplete, and TimeoutError.
    """
    if not has_body(method, head.status):
        return b""
    raw = await BodyReader(connection, head.status, reading).read(head)
    return await inflate(raw, head, reading.limit)


def has_body(method: str, status: int) -> bool:
    """Return False for the answers that never have one, whatever their headers say (RFC 9112 6.3)."""
    return method != "HEAD" and status not in (204, 304)


def can_follow(method: str, head: Head) -> bool:
    """Return True if another answer can follow on the connection: it stays open, and the body's end is known."""
    framed = "transfer-encoding" in head.headers or "content-length" in head.headers
    return head.keeps_alive and (framed or not has_body(method, head.status))


class BodyReader:
    """Reads one body as its head describes it, and counts each byte that is read."""

    def __init__(self, connection: Connection, status: int, reading: Reading) -> None:
        self._connection = connection
        self._status = status
        self._reading = reading
        self._end = connection.taken + reading.limit
        self._body = bytearray()

    async def read(self, head: Head) -> bytes:
        coding = head.headers.get("transfer-encoding")
        if coding is not None:
            if coding.lower() != "chunked":
                raise Unanswered("the connection broke: an unknown transfer coding")
            await self._read_chunks()
        elif (length := head.headers.get("content-length")) is not None:
            await self._read_exactly(as_length(length))
        else:
            await self._read_to_the_end()
        return bytes(self._body)

    async def _read_exactly(self, size: int) -> None:
        if size > self._end - self._connection.taken:
            raise self._too_long()
        while size:
            if not self._connection.pending and not await self._connection.fill(self._reading.silence):
                raise Unanswered("the connection broke: it was closed before the answer's end")
            piece = self._connection.take(size)
            self._body += piece
            size -= len(piece)

    async def _read_to_the_end(self) -> None:
        while self._connection.pending or await self._connection.fill(self._reading.silence):
            self._body += self._connection.take(BUFFER_BYTES)
            if self._connection.taken > self._end:
                raise self._too_long()

    async def _read_chunks(self) -> None:
        for number in range(MAX_CHUNKS):
            if number % CHUNKS_AT_A_TIME == CHUNKS_AT_A_TIME - 1:
                await asyncio.sleep(0)
            match = CHUNK_SIZE.fullmatch(await self._line())
            if match is None:
                raise Unanswered("the connection broke: a chunk without its size")
            size = int(match[1], 16)
            if not size:
                await self._skip_trailers()
                return
            await self._read_exactly(size)
            if await self._line():
                raise Unanswered("the connection broke: a chunk is longer than its size")
        raise RetryLater(f"answered {self._status} in more than {MAX_CHUNKS} chunks")

    async def _skip_trailers(self) -> None:
        for _ in range(MAX_TRAILERS):
            if not await self._line():
                return
        raise Unanswered(f"the connection broke: more than {MAX_TRAILERS} trailers")

    async def _line(self) -> bytes:
        if self._connection.taken > self._end:
            raise self._too_long()
        return await self._connection.read_line(MAX_CHUNK_LINE, self._reading.silence)

    def _too_long(self) -> RetryLater:
        return RetryLater(f"answered {self._status} with more than {self._reading.limit} bytes")


def as_length(text: str) -> int:
    """Return Content-Length. A proxy may repeat it; RFC 9112 6.3 allows equal values."""
    values = {part.strip() for part in text.split(",")}
    value = values.pop()
    if values or not re.fullmatch(r"[0-9]{1,15}", value):
        raise Unanswered("the connection broke: an invalid Content-Length")
    return int(value)


async def inflate(raw: bytes, head: Head, limit: int) -> bytes:
    """Undo a content coding, which no request asks for. A few bytes may be coded megabytes, so the limit holds here."""
    coding = head.headers.get("content-encoding", "").lower()
    if coding in ("", "identity") or not raw:
        return raw
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise Unanswered("the connection broke: the body has a coding that was not asked for")
    decoder = zlib.decompressobj(GZIP_OR_ZLIB)
    body = bytearray()
    left = raw
    while not decoder.eof:
        try:
            piece = decoder.decompress(left, BUFFER_BYTES)
        except zlib.error:
            raise Unanswered(f"the connection broke: the body is not {coding}") from None
        left = decoder.unconsumed_tail
        if not piece and not left:
            raise Unanswered("the connection broke: the body is incomplete")
        body += piece
        if len(body) > limit:
            raise RetryLater(f"answered {head.status} with more than {limit} bytes")
        await asyncio.sleep(0)
    return bytes(body)
