"""Opens stores, and their databases beside the store, for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from peewee import Database

from gateway.store import Settings, open_store
from gateway.store.sqlite import open as sqlite


def run_on_store(url: str, work: Callable[[Any], Any] = lambda store: None, **options: Any) -> Any:
    """Return the result of `work` for the store at the URL, which is open meanwhile."""

    async def opened() -> Any:
        store = open_store(Settings(url), **options)
        try:
            return work(store)
        finally:
            await store.close()

    return asyncio.run(opened())


@contextlib.contextmanager
def raw_database(settings: Settings) -> Iterator[Database]:
    """Connect to a store's database beside the store, with the settings of the store's own connections."""
    with contextlib.ExitStack() as opened:
        if settings.url.startswith("sqlite:"):
            yield sqlite.connect(sqlite.path_of(settings.url), sqlite.BUSY_TIMEOUT, {}, opened)
        else:
            from gateway.store.postgres import open as postgres

            yield postgres.connect(postgres.parameters_of(settings), settings, opened)
