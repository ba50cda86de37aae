"""Whatever bytes come, in whatever pieces, a request ends with an answer or an outcome, and no other error."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import SinkError
from gateway.sink.client.body import Reading, read_body
from gateway.sink.client.connection import Connection
from gateway.sink.client.head import read_head

PARTS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 404\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 204 No\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length: \xb2\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: Chunked\r\n",
        b"Transfer-Encoding: x\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Content-Encoding: deflate\r\n",
        b"Connection: close\r\n",
        b": empty\r\n",
        b"\x00\xff: \xff\r\n",
        b" folded\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b"abc",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        b"x\x9cKLJ\x06\x00\x02M\x01'",
    ]
)


class Wire(asyncio.Transport):
    """A transport that leads nowhere."""

    def write(self, data: object) -> None:
        """Take a request."""

    def pause_reading(self) -> None:
        """Do nothing: all bytes are there."""

    def resume_reading(self) -> None:
        """Do nothing."""

    def is_closing(self) -> bool:
        return False


async def read(pieces: list[bytes]) -> None:
    connection = Connection()
    connection.connection_made(Wire())
    connection.begin(b"")

    async def feed() -> None:
        for piece in pieces:
            connection.data_received(piece)
            await asyncio.sleep(0)
        connection.connection_lost(None)

    feeding = asyncio.create_task(feed())
    try:
        head = await read_head(connection, 60)
        assert 200 <= head.status <= 999
        assert isinstance(await read_body(connection, "GET", head, Reading(1000, 60)), bytes)
    except SinkError:
        pass
    finally:
        await feeding


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS | st.binary(max_size=20), max_size=20))
def test_any_bytes_end_in_an_answer_or_an_outcome(pieces: list[bytes]) -> None:
    asyncio.run(read(pieces))


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS | st.binary(max_size=20), max_size=20), st.booleans())
def test_any_bytes_after_a_good_head_do_too(pieces: list[bytes], chunked: bool) -> None:
    framing = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Encoding: gzip\r\n\r\n"
    asyncio.run(read([b"HTTP/1.1 200 OK\r\n", framing, *pieces]))
