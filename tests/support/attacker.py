"""Strangers that attack a listener: they pipeline without end, or hold connections."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

READ = 256 * 1024
"""Bytes of one write, as many as the gateway may read at once."""


def address_of(url: str) -> tuple[str, int]:
    host, port = url.rpartition("/")[2].rsplit(":", 1)
    return host, int(port)


@contextmanager
def pipelining(url: str, request: bytes, connections: int = 1) -> Iterator[None]:
    """Send a request again and again, without waiting for answers, on connections that are opened anew if cut."""
    stopped = threading.Event()
    data = request * max(1, READ // len(request))

    def flood() -> None:
        while not stopped.is_set():
            with suppress(OSError), socket.create_connection(address_of(url), timeout=0.2) as sender:
                drain = threading.Thread(target=read_all, args=(sender,))
                drain.start()
                try:
                    while not stopped.is_set():
                        with suppress(TimeoutError):
                            sender.sendall(data)
                finally:
                    with suppress(OSError):
                        sender.shutdown(socket.SHUT_RDWR)
                    drain.join()

    floods = [threading.Thread(target=flood) for _ in range(connections)]
    for each in floods:
        each.start()
    try:
        yield
    finally:
        stopped.set()
        for each in floods:
            each.join()


def read_all(sender: socket.socket) -> None:
    """Read and drop answers until the connection ends."""
    while True:
        try:
            if not sender.recv(READ):
                return
        except TimeoutError:
            continue
        except OSError:
            return


@contextmanager
def idling(url: str, connections: int) -> Iterator[list[socket.socket]]:
    """Hold so many connections without a byte."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address_of(url), timeout=60)) for _ in range(connections)]
