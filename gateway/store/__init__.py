"""Custody on disk. `contract` says what the rest of the gateway sees; `open_store` gives it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.errors import GatewayError, StoreError
from gateway.store import sqlite
from gateway.store.contract import Settings, Store
from gateway.store.lock import holder_of

__all__ = ["Settings", "Store", "migrate_store", "missing_file", "open_store", "serving_process"]


def open_store(settings: Settings, *, exclusive: bool = False, loop: asyncio.AbstractEventLoop | None = None) -> Store:
    """Open the store, with its tables as this version knows them; its awaitables belong to `loop`, or the running one.

    `exclusive` is for the process that serves, and holds until `close`. Raises StoreInUse where another has it,
    StoreError where the store can't be opened, GatewayError for a URL or a schema that this version does not know.
    """
    loop = loop or asyncio.get_running_loop()
    scheme = urlsplit(settings.url).scheme
    if scheme == "sqlite":
        return sqlite.open_sqlite(settings, loop, exclusive)
    if scheme in ("postgres", "postgresql"):
        opened: Store = find_postgres().open_postgres(settings, loop)
        return opened
    raise GatewayError("store.url: expected sqlite:///path/of/a/file.db or postgresql://user@host/database")


def migrate_store(settings: Settings, contract: bool) -> list[str]:
    """Bring the store to this version's schema; the steps applied. A file is brought to it whenever it is opened."""
    if urlsplit(settings.url).scheme == "sqlite":
        return sqlite.migrate_sqlite(settings, contract)
    steps: list[str] = find_postgres().migrate_postgres(settings, contract)
    return steps


def find_postgres() -> Any:
    """What opens PostgreSQL, where its driver is installed."""
    try:
        from gateway.store import postgres
    except ImportError as error:
        raise GatewayError(
            "store.url: PostgreSQL needs its driver: install cloudsignal-gateway with the extra postgres"
        ) from error
    return postgres


def missing_file(settings: Settings) -> Path | None:
    """The file that the store is to be in, where it is not there yet; None where it is, or a server keeps the store."""
    if urlsplit(settings.url).scheme != "sqlite":
        return None
    path = sqlite.path_of(settings.url)
    return None if path.exists() else path


def serving_process(settings: Settings) -> int | None:
    """The process id of the gateway that serves from the store; None where none does, or a server keeps the store."""
    if urlsplit(settings.url).scheme != "sqlite":
        return None
    try:
        return holder_of(sqlite.path_of(settings.url))
    except OSError as error:
        raise StoreError(f"can't tell whether a gateway is running: {error.strerror}") from error
