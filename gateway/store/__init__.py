"""Custody on disk. `contract` lists the store's promises; `open_store` opens it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType

from gateway.errors import GatewayError, StoreError
from gateway.store.contract import Settings, Store
from gateway.store.failures import passes_by_itself
from gateway.store.sqlite import copies
from gateway.store.sqlite import open as sqlite
from gateway.store.sqlite.lock import serving_pid

__all__ = [
    "Settings",
    "Store",
    "copies",
    "describe_store",
    "find_postgres",
    "is_postgres",
    "is_sqlite",
    "migrate_store",
    "open_store",
    "passes_by_itself",
    "path_of",
    "serving_process",
]


def open_store(
    settings: Settings,
    *,
    exclusive: bool = False,
    create: bool = True,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Store:
    """Open the store, and make it if there is none and `create` is set. Its awaitables belong to `loop`, or the
    running one.

    `exclusive` is for the serving process, until `close`. Raises StoreInUse if another process serves from the store,
    and StoreMissing if there is none. Raises StoreError if it can't be opened, and GatewayError for an unknown URL or
    schema.
    """
    loop = loop or asyncio.get_running_loop()
    if is_sqlite(settings):
        return sqlite.open_sqlite(settings, loop, exclusive, create)
    if is_postgres(settings):
        opened: Store = find_postgres().open_postgres(settings, loop, create)
        return opened
    raise GatewayError("store.url: expected sqlite:///path/of/a/file.db or postgresql://user@host/database")


def migrate_store(settings: Settings, contract: bool) -> list[str]:
    """Bring the store to this version's schema, and return the migrations applied.

    A file is brought to it whenever it is opened.
    """
    if is_sqlite(settings):
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


def path_of(settings: Settings) -> Path:
    """Return the path of the store's SQLite file, as its URL gives it. Raises GatewayError for another URL."""
    return sqlite.path_of(settings.url)


def is_sqlite(settings: Settings) -> bool:
    """Return True if the store is a SQLite file."""
    return settings.url.startswith("sqlite:")


def is_postgres(settings: Settings) -> bool:
    """Return True if a PostgreSQL server keeps the store."""
    return settings.url.startswith(("postgresql:", "postgres:"))


def describe_store(settings: Settings) -> str:
    """Return the absolute path of the store's file, or the database's name and host, without a password."""
    if is_sqlite(settings):
        return str(sqlite.path_of(settings.url).absolute())
    name: str = find_postgres().describe(settings)
    return name


def serving_process(settings: Settings) -> int | None:
    """Return the process id of the gateway that serves from the file; None if none does, or if a server keeps it."""
    if not is_sqlite(settings):
        return None
    try:
        return serving_pid(sqlite.path_of(settings.url))
    except OSError as error:
        raise StoreError(f"can't tell if a gateway is running: {error.filename}: {error.strerror}") from error
