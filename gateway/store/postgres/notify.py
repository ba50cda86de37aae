"""Wakes gateways that share a PostgreSQL when one of them, or a command, has committed something: LISTEN and NOTIFY.

A transaction that notifies commits under a lock of the whole server. So the writer's transactions don't notify: the
notifier has a connection and a thread of its own, and joins notifications that come together. Lost notifications, while
the server is away for instance, do no harm: gateways poll too.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
import psycopg
import structlog

from gateway.model import RouteKey
from gateway.store.postgres.connection import Bounded
from gateway.store.rows import dumps

log = structlog.get_logger()

CHANNEL = "cloudsignal"
MIN_INTERVAL = 0.05
"""Seconds between two notifications, at least. Notifications that come meanwhile are joined."""
MAX_PAYLOAD = 7000
"""Bytes of a notification, of PostgreSQL's 8000. A longer list of routes is sent as "any route"."""
SILENCE = 30.0
"""Seconds without a notification, after which the connection is tested."""
RETRY_INTERVAL = 2.0
"""Seconds between attempts to connect again."""


class PostgresNotifier:
    """See gateway.store.dialect.Notifier. Connects when it is first used."""

    def __init__(self, parameters: dict[str, Any], loop: asyncio.AbstractEventLoop, longest: float) -> None:
        self._parameters = parameters
        self._longest = longest
        self._loop = loop
        self._tell: Callable[[Sequence[RouteKey]], None] = lambda routes: None
        self._lock = threading.Lock()
        self._routes: set[RouteKey] = set()
        self._any = False
        self._closing = False
        self._thread: threading.Thread | None = None
        self._woken, self._wake = socket.socketpair()

    def notify(self, routes: Iterable[RouteKey]) -> None:
        named = set(routes)
        if self._closing:
            return
        with self._lock:
            idle = not self._routes and not self._any
            self._routes |= named
            self._any = self._any or not named
        if idle:
            self._start()

    def listen(self, tell: Callable[[Sequence[RouteKey]], None]) -> None:
        self._tell = tell
        self._start()

    def close(self) -> None:
        self._closing = True
        if self._thread is not None:
            self._wake.send(b".")
            self._thread.join()
        self._wake.close()
        self._woken.close()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="store-notifier", daemon=True)
            self._thread.start()
        with contextlib.suppress(OSError):  # closed meanwhile
            self._wake.send(b".")

    # -- on the thread

    def _run(self) -> None:
        while not self._closing or self._routes or self._any:
            try:
                with Bounded.connect(**self._parameters, autocommit=True) as connection:
                    connection.longest = self._longest
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._deliver(())  # for notifications sent while nobody listened
                    self._serve(connection)
            except psycopg.Error as error:
                if self._closing:
                    return
                log.warning("store.notifier_failed", reason=type(error).__name__)
                select.select([], [], [], RETRY_INTERVAL)

    def _serve(self, connection: psycopg.Connection) -> None:
        while True:
            if not select.select([connection.fileno(), self._woken.fileno()], [], [], SILENCE)[0]:
                connection.execute("SELECT")
            for heard in connection.notifies(timeout=0):
                if heard.pid != connection.info.backend_pid:
                    self._deliver([(account, route) for account, route in orjson.loads(heard.payload)])
            if select.select([self._woken], [], [], 0)[0]:
                self._woken.recv(4096)
                self._send(connection)
                if self._closing:
                    return
                time.sleep(MIN_INTERVAL)

    def _send(self, connection: psycopg.Connection) -> None:
        with self._lock:
            routes, anything = self._routes, self._any
            self._routes, self._any = set(), False
        if routes or anything:
            text = "[]" if anything else dumps(sorted(routes))
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, text if len(text) < MAX_PAYLOAD else "[]"))

    def _deliver(self, routes: Sequence[RouteKey]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone
            self._loop.call_soon_threadsafe(self._tell, routes)
