"""Commands that read or mend the store open it beside a running gateway, for as long as they run."""

from __future__ import annotations

import asyncio
import dataclasses
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from gateway.config import Config, load_config
from gateway.operate.names import require_known
from gateway.store import missing_file, open_store
from gateway.store.contract import Store
from gateway.store.values import Filter

T = TypeVar("T")


ANY = Filter()


def with_store(config_path: Path, work: Callable[[Store], Awaitable[T]], which: Filter = ANY) -> T:
    """What `work` gives, run on the store that the config names."""
    return run_on_store(load_config(config_path), work, which)


def run_on_store(config: Config, work: Callable[[Store], Awaitable[T]], which: Filter = ANY) -> T:
    """What `work` gives, run on the config's store; the history names who runs the command.

    GatewayError where nobody knows the account or the route of `which`.
    """
    missing = missing_file(config.store)
    if missing and not missing.parent.exists():
        # In another working directory than the gateway's, "No dead letters." would be true and mislead.
        click.echo(f"note: there was no store at {missing.absolute()}; an empty one was made", err=True)

    async def run() -> T:
        store = open_store(dataclasses.replace(config.store, actor=operator()))
        try:
            await require_known(store, config, which)
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def operator() -> str:
    """Who the system says is at the command line."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user that has no name
        return "command line"
