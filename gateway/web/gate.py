"""Open connections of a listener: accepting them, and limits in all and by address.

At a limit, the connection that has been idle for longest makes room, unless it has sent a right key. So strangers who
hold connections keep nobody out. If none is idle, accepting pauses, and the system keeps new ones waiting.
"""

from __future__ import annotations

import asyncio
import heapq
import socket
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from gateway.address_blocks import block_of
from gateway.metrics import Observer
from gateway.web.limits import Limits

log = structlog.get_logger()

ACCEPT_AT_ONCE = 16
"""Connections accepted in one turn of the loop. More would delay the requests of others."""
BACK_OFF = 0.5
"""Seconds for which accepting pauses, if no connection ends before. Trying again at once would use a whole core."""
ROOM_SHARE = 64
"""Part of the connections that makes room at once: searching 2,048 of them takes 0.2 ms."""
LOG_EVERY = 60.0
"""Seconds between two log lines about limits. The metric counts each refusal."""


class Guest(Protocol):
    """An open connection."""

    address: str

    @property
    def idle_since(self) -> float | None:
        """The time of `time.monotonic` since which the client has sent no whole request.

        None while it is answered, and for good once it has sent a right key.
        """
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Gate:
    """The open connections of the listener of that name, within `limits`. `is_exempt` frees addresses of theirs."""

    def __init__(
        self,
        listener: str,
        limits: Callable[[], Limits],
        observer: Observer | None = None,
        is_exempt: Callable[[str], bool] = lambda address: False,
    ) -> None:
        self.is_exempt = is_exempt
        self._listener = listener
        self._limits = limits
        self._observer = observer or Observer()
        self._by_block: defaultdict[str, set[Guest]] = defaultdict(set)
        self._count = 0
        self._waiting: set[Callable[[], None]] = set()
        self._logged_at = float("-inf")

    @property
    def guests(self) -> list[Guest]:
        return [guest for guests in self._by_block.values() for guest in guests]

    def has_room(self) -> bool:
        """Return True if one more connection may be admitted. At the limit, idle ones are closed for it."""
        most = self._limits().max_connections
        return self._count < most or self._make_room(self.guests, max(1, most // ROOM_SHARE), "limit")

    def admit(self, guest: Guest) -> bool:
        """Add a connection. Return False if its address has too many, of which none is idle."""
        address, block = guest.address, block_of(guest.address)
        own = self._by_block[block]
        most = self._limits().max_connections_per_address
        if len(own) >= most and not self.is_exempt(address) and not self._make_room(list(own), 1, "address"):
            self._refuse("address", address)
            return False
        self._by_block[block].add(guest)
        self._set_count(self._count + 1)
        return True

    def leave(self, guest: Guest) -> None:
        """Remove a connection, once it is closed."""
        block = block_of(guest.address)
        own = self._by_block.get(block, set())
        if guest in own:
            own.remove(guest)
            if not own:
                del self._by_block[block]
            self._set_count(self._count - 1)
        waiting, self._waiting = self._waiting, set()
        for resume in waiting:
            resume()

    def wait_for_room(self, resume: Callable[[], None]) -> None:
        """Call `resume` when the next connection ends."""
        self._waiting.add(resume)

    def lacks_descriptors(self, reason: str) -> None:
        """Close idle connections, because the process can't open one more file or socket."""
        self._refuse("descriptors", reason)
        self._make_room(self.guests, max(1, self._count // ROOM_SHARE), "descriptors")

    def _make_room(self, guests: list[Guest], count: int, reason: str) -> bool:
        """Close those of the guests that are idle for longest. Return False if none is idle."""
        idle = [(since, id(guest), guest) for guest in guests if (since := guest.idle_since) is not None]
        for _, _, guest in heapq.nsmallest(count, idle):
            self._refuse(reason, guest.address)
            guest.abort()
            self.leave(guest)
        return bool(idle)

    def _refuse(self, reason: str, about: str) -> None:
        self._observer.connection_refused(self._listener, reason)
        if time.monotonic() - self._logged_at >= LOG_EVERY:
            self._logged_at = time.monotonic()
            log.warning("connections.limited", listener=self._listener, reason=reason, about=about, open=self._count)

    def _set_count(self, count: int) -> None:
        self._count = count
        self._observer.connections_open(self._listener, count)


class Acceptor:
    """Accepts the connections of one listening socket, as the gate has room. `on_accepted` takes socket and address."""

    def __init__(
        self, listening: socket.socket, gate: Gate, on_accepted: Callable[[socket.socket, Any], object]
    ) -> None:
        self._listening = listening
        self._gate = gate
        self._on_accepted = on_accepted
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._next: tuple[socket.socket, Any] | None = None
        """A connection that was accepted, and waits until the gate has room."""
        self._loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Stop accepting, and close the listening socket."""
        self._closed = True
        self._loop.remove_reader(self._listening)
        if self._timer:
            self._timer.cancel()
        if self._next:
            self._next[0].close()
        self._listening.close()

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                accepted, address = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:  # the client has hung up before it was accepted
                continue
            except OSError as error:  # no descriptor or no memory: the connection stays with the system
                self._gate.lacks_descriptors(error.strerror or str(error))
                self._pause()
                return
            if not self._gate.has_room():
                self._next = accepted, address
                self._pause()
                return
            self._admit(accepted, address)

    def _admit(self, accepted: socket.socket, address: Any) -> None:
        accepted.setblocking(False)
        self._on_accepted(accepted, address)

    def _pause(self) -> None:
        self._loop.remove_reader(self._listening)
        self._timer = self._loop.call_later(BACK_OFF, self._resume)
        self._gate.wait_for_room(self._resume)

    def _resume(self) -> None:
        if self._timer is None or self._closed:
            return
        self._timer.cancel()
        self._timer = None
        if self._next:
            if not self._gate.has_room():
                self._pause()
                return
            (accepted, address), self._next = self._next, None
            self._admit(accepted, address)
        self._loop.add_reader(self._listening, self._accept)
