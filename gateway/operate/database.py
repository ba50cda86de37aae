"""Moves a store from SQLite to PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.store import Settings, find_postgres
from gateway.store.move import Moved, move_store

__all__ = ["Moved", "move_database", "require_movable"]


def require_movable(config: Config) -> None:
    """Raise GatewayError if the config's store is not SQLite, or PostgreSQL's driver is missing."""
    if not config.store.url.startswith("sqlite"):
        raise GatewayError("store.url: expected the SQLite store to move, sqlite:///path/of/a/file.db")
    find_postgres()


async def move_database(config: Config, url: str, tell: Callable[[int, int], None]) -> Moved:
    """Copy the config's SQLite store to a PostgreSQL database, and compare the two ledgers.

    `tell` is called, in another thread, with the number of signals copied and their total. An interrupted move goes on
    where it ended. Raises GatewayError if the target has other signals, or if the ledgers differ.
    """
    require_movable(config)
    return await move_store(config.store, Settings(url), config.retention, tell)
