"""Opens the store for a command, beside a running gateway, as long as the command runs."""

from __future__ import annotations

import asyncio
import dataclasses
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from gateway.config import Config, load_config
from gateway.operate.lookups import Filter
from gateway.operate.names import require_known
from gateway.store import Store, open_store

T = TypeVar("T")

ANY = Filter()
"""A filter that names no account and no route."""


def read_config(config_path: Path) -> Config:
    """Load a configuration for a command. Keys and secrets of sinks may be missing from its environment."""
    return load_config(config_path, partial=True)


def with_store(config_path: Path, work: Callable[[Store], Awaitable[T]], which: Filter = ANY) -> T:
    """Load the configuration and return the result of `work` on its store; see `run_on_store`."""
    return run_on_store(read_config(config_path), work, which)


def run_on_store(config: Config, work: Callable[[Store], Awaitable[T]], which: Filter = ANY) -> T:
    """Return the result of `work` on the config's store, which records actions under the operator's name.

    Raises StoreMissing if there is no store, GatewayError if `which` names an account or a route that neither the
    configuration nor the store knows.
    """

    async def run() -> T:
        # No store is made: in another working directory than the gateway's, an empty one would mislead.
        store = open_store(dataclasses.replace(config.store, actor=user_name()), create=False)
        try:
            await require_known(store, config, which)
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def user_name() -> str:
    """Return the system's name for the user at the command line."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return "command line"
