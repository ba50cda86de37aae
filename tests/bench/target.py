"""A target of deliveries: accepts each POST after a delay, or never.

python -m tests.bench.target --port 8090 --core 1 [--delay 0.05]

It reads sockets itself, without an HTTP server, so that it is not the bottleneck.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Callable
from typing import cast

from gateway.cli.serve import find_loop_factory
from tests.bench.load import LENGTH

HANG = "/hang"
"""Requests for this path are never answered."""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Target(asyncio.Protocol):
    """One connection. `arrived` is called with each body."""

    transport: asyncio.Transport

    def __init__(self, arrived: Callable[[bytes], None] = lambda body: None, delay: float = 0.0) -> None:
        self._arrived = arrived
        self._delay = delay
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transport is no subclass

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, complete, body = self._received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not complete or (length and len(body) < int(length[1])):
            return
        self._received = b""
        self._arrived(body)
        if HANG.encode() in head.partition(b"\r\n")[0]:
            return
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(ANSWER)


async def listen(port: int, delay: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Target(delay=delay), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--core", type=int, help="the core to run on")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    with asyncio.Runner(loop_factory=find_loop_factory()) as runner:
        runner.run(listen(given.port, given.delay))


if __name__ == "__main__":
    main()
