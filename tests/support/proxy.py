"""A network between two processes. It passes connections on, and can be cut, delayed, or made to hang."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from gateway.store import open_store
from gateway.store.contract import Settings, Store
from tests.support.process import free_port

if TYPE_CHECKING:
    from tests.support.postgres import Server

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def at_port(port: int) -> Connect:
    return lambda: asyncio.open_connection("127.0.0.1", port)


def at_socket(path: str) -> Connect:
    return lambda: asyncio.open_unix_connection(path)


class Proxy:
    """A proxy on a port of 127.0.0.1. It passes each connection to one of the targets, drawn by `rng`, or to another if
    that does not answer. `delay` is in seconds for each piece that passes. `turns` counts for each connection the
    changes of direction."""

    def __init__(self, targets: Sequence[Connect], port: int, rng: random.Random | None = None) -> None:
        self.port = port
        self.delay = 0.0
        self.turns: list[int] = []
        self._targets = targets
        self._rng = rng or random.Random(0)
        self._up = True
        self._flows = asyncio.Event()
        self._flows.set()
        self._forgotten: list[asyncio.Event] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self._drop()
        await self._server.wait_closed()
        await asyncio.gather(*self._passing, return_exceptions=True)

    def cut(self) -> None:
        """Break every connection and refuse new ones until `mend`."""
        self._up = False
        self._drop()

    def hang(self) -> None:
        """Silently let nothing pass until `mend`."""
        self._flows.clear()

    def forget(self) -> None:
        """Silently let nothing pass on existing connections, for ever. New connections work."""
        self._flows.clear()
        self._forgotten.append(self._flows)
        self._flows = asyncio.Event()
        self._flows.set()

    def mend(self) -> None:
        self._up = True
        self.delay = 0.0
        self._flows.set()

    def _drop(self) -> None:
        for flows in (self._flows, *self._forgotten):
            flows.set()
        for writer in self._writers:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        try:
            if self._up and (found := await self._connect()):
                there, back = found
                self._writers.add(back)
                said, flows = self._count_turns(), self._flows
                try:
                    async with asyncio.TaskGroup() as both:
                        both.create_task(self._pump(reader, back, flows, lambda: said(False)))
                        both.create_task(self._pump(there, writer, flows, lambda: said(True)))
                finally:
                    self._writers.discard(back)
                    back.transport.abort()
        except* (OSError, EOFError):
            pass
        finally:
            self._passing.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for connect in self._rng.sample(self._targets, len(self._targets)):
            with contextlib.suppress(OSError):
                return await connect()
        return None

    def _count_turns(self) -> Callable[[bool], None]:
        """Return a function to call each time that a side of a new connection speaks: with True for the answering
        side."""
        number, asked = len(self.turns), False
        self.turns.append(0)

        def said(answer: bool) -> None:
            nonlocal asked
            self.turns[number] += answer and asked
            asked = not answer

        return said

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        flows: asyncio.Event,
        said: Callable[[], None],
    ) -> None:
        while data := await reader.read(65536):
            said()
            await asyncio.sleep(self.delay)
            await flows.wait()
            writer.write(data)
            await writer.drain()
        raise EOFError  # so that the other direction ends too


@contextlib.asynccontextmanager
async def behind_proxy(server: Server, **settings: Any) -> AsyncIterator[tuple[Store, Proxy]]:
    """Open a store in its own schema, through a proxy. The writer's connection is the first."""
    proxy = Proxy([at_socket(server.socket)], free_port())
    await proxy.start()
    place = server.make_place().partition("options=")[2]
    url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres?options={place}"
    loop = asyncio.get_running_loop()
    store = await asyncio.to_thread(open_store, Settings(url, **settings), loop=loop)
    try:
        yield store, proxy
    finally:
        await store.close()
        await proxy.stop()
