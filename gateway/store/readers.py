"""Runs queries on a small pool of threads."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

from peewee import Database, PeeweeException

from gateway.errors import StoreError
from gateway.store.failures import describe_failure

P = ParamSpec("P")
T = TypeVar("T")


class Readers:
    """Queries run on threads, each with a connection of its own while it runs."""

    def __init__(
        self, databases: Sequence[Database], loop: asyncio.AbstractEventLoop, revive: Callable[[Any], bool]
    ) -> None:
        self._loop = loop
        self._revive = revive
        self._threads = ThreadPoolExecutor(len(databases), "store-reader")
        self._idle: queue.SimpleQueue[Database] = queue.SimpleQueue()
        self._databases = databases
        self._closed = False
        for db in databases:
            self._idle.put(db)

    async def run(self, query: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query and return its result. Raises StoreError if the store is closed or the query failed."""
        if self._closed:
            raise StoreError("the store is closed")
        try:
            return await self._loop.run_in_executor(self._threads, lambda: self._query(query, *args, **kwargs))
        except PeeweeException as error:
            raise StoreError(f"the store could not read: {describe_failure(error)}") from error

    def _query(self, query: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        db = self._idle.get()
        try:
            self._revive(db)
            return query(db, *args, **kwargs)
        except PeeweeException:
            if self._revive(db):  # the connection broke since its last use: the server was restarted, for instance
                return query(db, *args, **kwargs)
            raise
        finally:
            self._idle.put(db)

    async def close(self, last: Callable[[], object]) -> None:
        """Refuse further queries, run `last` on a thread, let running queries end, then close the connections."""
        self._closed = True
        await self._loop.run_in_executor(self._threads, last)
        self._threads.shutdown()
        for db in self._databases:
            db.close()
