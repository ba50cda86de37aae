"""The head of an answer: its status and headers, after at most a few interim answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.errors import Unanswered
from gateway.sink.client.connection import Connection

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of an answer before its body, interim answers included. Servers limit what they take to 8 to 64 KiB."""
MAX_HEADERS = 200
"""Headers of an answer. Proxies and frameworks send 10 to 40."""
MAX_INTERIM_ANSWERS = 16
"""Answers of 1xx before the answer. Servers send one or two: 100 Continue, and 103 Early Hints."""

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: .*)?")


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers. The names are in lower case; values of a repeated header are joined by ", "."""

    status: int
    headers: Mapping[str, str]
    keeps_alive: bool


async def read_head(connection: Connection, seconds: float) -> Head:
    """Read to the end of the first answer that is not interim.

    Raises Unanswered if it is no HTTP or too long, TimeoutError if it is not complete in time. `seconds` is for the
    whole head: a target that sends a byte now and then would pass any limit on silence.
    """
    async with asyncio.timeout(seconds):
        for _ in range(MAX_INTERIM_ANSWERS + 1):
            head = await read_one_head(connection, seconds)
            if head.status >= 200:
                return head
            if head.status == 101:
                raise Unanswered("the connection broke: the target changed the protocol")
    raise Unanswered(f"the connection broke: more than {MAX_INTERIM_ANSWERS} interim answers")


async def read_one_head(connection: Connection, seconds: float) -> Head:
    match = STATUS_LINE.fullmatch(await next_line(connection, seconds))
    if match is None:
        raise Unanswered("the connection broke: the answer is not HTTP/1.1")
    lines: list[bytes] = []
    while line := await next_line(connection, seconds):
        if len(lines) == MAX_HEADERS:
            raise Unanswered(f"the connection broke: more than {MAX_HEADERS} headers")
        lines.append(line)
    headers = parse_headers(lines)
    return Head(int(match[2]), headers, keeps_alive(match[1] == b"1", headers.get("connection", "")))


async def next_line(connection: Connection, seconds: float) -> bytes:
    left = MAX_HEAD_BYTES - connection.taken
    if left <= 0:
        raise Unanswered(f"the connection broke: more than {MAX_HEAD_BYTES} bytes of headers")
    return await connection.read_line(left, seconds)


def parse_headers(lines: list[bytes]) -> dict[str, str]:
    """Return the headers. A line that is no header is left out: the status tells if the target took a delivery."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon and (name := name.strip().lower()):
            text = value.strip()
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def keeps_alive(is_1_1: bool, connection: str) -> bool:
    """Return True if the target keeps the connection open after its answer (RFC 9112 9.3)."""
    options = {word.strip() for word in connection.lower().split(",")}
    return "close" not in options and (is_1_1 or "keep-alive" in options)
