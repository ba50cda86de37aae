"""Answering: the exchanges of one connection are answered in order, within time limits, until either side ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

from gateway.web.http1.messages import Answer, RouteTable
from gateway.web.http1.reader import Exchange, RequestReader
from gateway.web.limits import Limits

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Deadline:
    """A timer that calls `on_expiry` once. Moving it later is cheap: the old timer fires, looks, and is set again."""

    def __init__(self, on_expiry: Callable[[], None]) -> None:
        self._on_expiry = on_expiry
        self._loop = asyncio.get_running_loop()
        self._expires_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Expire in so many seconds. Replaces the former deadline."""
        self._expires_at = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._expires_at:
            self._set_timer()

    def cancel(self) -> None:
        """Never expire."""
        if self._timer:
            self._timer.cancel()

    def _set_timer(self) -> None:
        self.cancel()
        self._timer = self._loop.call_at(self._expires_at, self._check)

    def _check(self) -> None:
        if self._loop.time() >= self._expires_at:
            self._on_expiry()
        else:
            self._set_timer()


class Connection(asyncio.BufferedProtocol):
    """A connection to one sender, a guest of the listener's gate. `on_lost` is called once it is lost.

    `buffer` is the memory of a read, so the most that is read at once.

    `routes` returns the current route table. The loop calls the public methods; one task answers. Both run on the
    loop's thread, so only an `await` of the task lets the other in.
    """

    _transport: asyncio.Transport
    _deadline: Deadline
    task: asyncio.Task[None]
    """The task that connects, for instance by a TLS handshake; then the answering task."""

    def __init__(
        self,
        peer: str,
        routes: Callable[[], RouteTable],
        limits: Limits,
        buffer: memoryview,
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.address = peer
        self.idle_since: float | None = time.monotonic()
        self._connected = False
        self._routes = routes
        self._limits = limits
        self._buffer = buffer
        self._on_lost = on_lost
        self._reader = RequestReader(peer, routes, limits)
        self._final: Exchange | None = None
        """The last exchange, set once it is answered; its answer announced the close."""
        self._reading_paused = False
        self._eof_received = False
        self._trusted = False
        """True once a request had a right key: such a connection makes no room for others."""
        self._lost = False
        self._request_ready: asyncio.Future[None] | None = None
        """Pending while the answering task waits for a request."""
        self._writable: asyncio.Future[None] | None = None
        """Pending while the sender does not read its answers."""

    def close(self) -> None:
        """Close after the answers in the buffer are sent. Abort if the sender does not read them."""
        if self._writable or not self._connected:
            self.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._connected:
            self._transport.abort()
        else:
            self.task.cancel()

    @property
    def _is_closed(self) -> bool:
        return self._lost or self._transport.is_closing()

    # -- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the answering task."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport is no subclass
        self._connected = True
        self._deadline = Deadline(self._transport.abort)
        self._deadline.set(self._limits.idle_timeout)
        self.task = asyncio.get_running_loop().create_task(self._answer_requests())

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the memory for the next read, which all connections share: it is copied at once."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse the bytes of a read, and wake the answering task if they complete a request."""
        reader = self._reader
        reader.feed(bytes(self._buffer[:nbytes]))
        if reader.incoming:
            # An abort calls connection_lost in a later iteration of the loop, so requests may still be ready below.
            self._enforce_limits(reader.incoming)
        if self._final:
            self._close_unless_draining(self._final)
        elif reader.ready:
            if not self._reading_paused and (reader.unparsed or len(reader.ready) > self._limits.read_ahead):
                self._reading_paused = True
                self._transport.pause_reading()
            resolve(self._request_ready)

    def eof_received(self) -> bool:
        """Keep the connection open while requests wait for answers. The sender has sent all.

        Returns False, which closes it, over TLS: there both directions end together.
        """
        self._eof_received = True
        idle = self._final is not None or (self._request_ready is not None and not self._request_ready.done())
        return not idle and self._transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        """Stop answering: the sender does not read, and the buffer is full."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Go on answering: the sender has read."""
        resolve(self._writable)
        self._writable = None

    def connection_lost(self, error: Exception | None) -> None:
        """Let the answering task end. A request that it is answering goes on; its answer is dropped."""
        self._lost = True
        self._on_lost(self)
        self._deadline.cancel()
        resolve(self._request_ready)
        resolve(self._writable)

    # -- the answering task

    async def _answer_requests(self) -> None:
        reader = self._reader
        while not self._is_closed:
            if not reader.ready:
                await self._wait_for_request()
                continue
            exchange = reader.ready.popleft()
            # Replaces a body's deadline, which must not cut the connection while the store commits.
            self._deadline.set(self._limits.answer_timeout)
            self.idle_since = None
            # During the await, the sender may hang up or send more requests. Answering goes on in any case: the
            # signal is stored, and `_write` drops its answer.
            await self._write(exchange, await self._answer(exchange))
            if exchange.closes:
                self._final = exchange
                self._deadline.set(self._limits.body_timeout)
                self._close_unless_draining(exchange)
                return
            self._deadline.set(self._limits.idle_timeout)
            if exchange.request.authenticated:
                self._trusted = True
            if not self._trusted:
                self.idle_since = time.monotonic()
            if reader.ready or reader.unparsed:
                # Other connections take their turn. A refusal awaits nothing, so a pipelining sender would starve them.
                await asyncio.sleep(0)

    async def _wait_for_request(self) -> None:
        """Wait until a request is ready or the connection is lost. Close if the sender has sent all."""
        if self._reader.unparsed:
            self._parse_on()
            return
        if self._eof_received:
            self.close()
            return
        if self._reading_paused:  # all requests that were read ahead are answered
            self._reading_paused = False
            self._transport.resume_reading()
        if self._reader.incoming and self._reader.incoming.awaits_body:
            self._invite_body(self._reader.incoming)
        self._request_ready = asyncio.get_running_loop().create_future()
        await self._request_ready
        self._request_ready = None

    async def _answer(self, exchange: Exchange) -> Answer:
        resource = exchange.resource or self._routes().fallback
        if exchange.refusal:
            return resource.refuse(exchange.request, exchange.refusal)
        return await resource.answer(exchange.request)

    async def _write(self, exchange: Exchange, answer: Answer) -> None:
        if not self._is_closed:
            keeps_alive = exchange.version == "1.0" and not exchange.closes
            self._transport.write(answer.encode(exchange.request.method, exchange.closes, keeps_alive))
        if self._writable:
            await self._writable

    # -- incomplete requests

    def _parse_on(self) -> None:
        """Parse bytes that were read ahead."""
        self._reader.parse_on()
        if self._reader.incoming:
            self._enforce_limits(self._reader.incoming)

    def _enforce_limits(self, exchange: Exchange) -> None:
        """Abort if an incomplete request is oversized. Limit the time for its body."""
        if exchange.is_oversized(self._limits):
            self._transport.abort()
        elif exchange.resource and not exchange.awaits_body:
            exchange.awaits_body = True
            self._deadline.set(self._limits.body_timeout)
            if self._request_ready and not self._request_ready.done() and not self._reader.ready:
                self._invite_body(exchange)

    def _invite_body(self, exchange: Exchange) -> None:
        """Send 100 Continue to a sender that waits for it, once all requests before are answered."""
        if exchange.awaits_continue and not exchange.refusal:
            exchange.awaits_continue = False
            self._transport.write(CONTINUE)

    def _close_unless_draining(self, final: Exchange) -> None:
        """Close, unless the body of a refused request still comes: closing now would reset the connection, and the
        sender would lose the answer. A sender that waits for 100 Continue sends no body after a refusal."""
        body_comes = self._reader.incoming is final and not self._eof_received
        drained = final.wire_size >= self._limits.drain_size
        if not body_comes or drained or final.awaits_continue:
            self.close()


def resolve(future: asyncio.Future[None] | None) -> None:
    """Resolve a future that somebody may wait for."""
    if future and not future.done():
        future.set_result(None)
