"""Custody on disk. `contract` lists the store's promises; `open_store` opens it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from gateway.errors import GatewayError, StoreError
from gateway.store.contract import Settings, Store
from gateway.store.sqlite import open as sqlite
from gateway.store.sqlite.lock import serving_pid

__all__ = ["Settings", "Store", "find_postgres", "migrate_store", "missing_file", "open_store", "serving_process"]


def open_store(settings: Settings, *, exclusive: bool = False, loop: asyncio.AbstractEventLoop | None = None) -> Store:
    """Open the store and make its tables if there are none. Its awaitables belong to `loop`, or the running one.

    `exclusive` is for the serving process, until `close`. Raises StoreInUse if another process serves from the store,
    StoreError if it can't be opened, GatewayError for an unknown URL or schema.
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
    """Bring the store to this version's schema, and return the migrations applied.

    A file is brought to it whenever it is opened.
    """
    if urlsplit(settings.url).scheme == "sqlite":
        return sqlite.migrate_sqlite(settings, contract)
    steps: list[str] = find_postgres().migrate_postgres(settings, contract)
    return steps


def find_postgres() -> ModuleType:
    """Return the module that opens PostgreSQL. Raises GatewayError if the driver is not installed."""
    try:
        from gateway.store.postgres import open as postgres
    except ImportError as error:
        raise GatewayError(
            "store.url: PostgreSQL needs its driver: install cloudsignal-gateway with the extra postgres"
        ) from error
    return postgres


def missing_file(settings: Settings) -> Path | None:
    """Return the store's file if it does not exist yet; None if it does, or if a server keeps the store."""
    if urlsplit(settings.url).scheme != "sqlite":
        return None
    path = sqlite.path_of(settings.url)
    return None if path.exists() else path


def serving_process(settings: Settings) -> int | None:
    """Return the process id of the gateway that serves from the file; None if none does, or if a server keeps it."""
    if urlsplit(settings.url).scheme != "sqlite":
        return None
    try:
        return serving_pid(sqlite.path_of(settings.url))
    except OSError as error:
        raise StoreError(f"can't tell if a gateway is running: {error.strerror}") from error
