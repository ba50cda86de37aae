"""Opens the store for a command, beside a running gateway, as long as the command runs."""

from __future__ import annotations

import asyncio
import dataclasses
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from gateway.config import Config, load_config
from gateway.errors import ConfigError
from gateway.operate.lookups import Filter
from gateway.operate.names import require_known
from gateway.store import Store, open_store

T = TypeVar("T")

MAX_PROBLEMS = 5
"""Errors of a configuration that a command prints before its own output. `cloudsignal check` prints all."""
ANY = Filter()
"""A filter that names no account and no route."""


def read_config(config_path: Path, despite_errors: bool = False) -> Config:
    """Load a configuration for a command. Keys and secrets of sinks may be missing from its environment.

    With `despite_errors`, print the errors and go on without the accounts and routes that have them: for commands that
    show, or that change what they are told by name. The store's own settings must be right.
    """
    config = load_config(config_path, partial=True)
    if config.problems and not despite_errors:
        raise ConfigError(config.problems)
    for problem in config.problems[:MAX_PROBLEMS]:
        click.echo(f"error: {problem}", err=True)
    if config.problems:
        more = len(config.problems) - MAX_PROBLEMS
        click.echo(f"{f'and {more} more; ' if more > 0 else ''}what has errors is left out here", err=True)
    return config


def with_store(
    config_path: Path, work: Callable[[Store], Awaitable[T]], which: Filter = ANY, despite_errors: bool = False
) -> T:
    """Load the configuration and return the result of `work` on its store: see `read_config`, `run_on_store`."""
    return run_on_store(read_config(config_path, despite_errors), work, which)


def run_on_store(config: Config, work: Callable[[Store], Awaitable[T]], which: Filter = ANY) -> T:
    """Return the result of `work` on the config's store, which records actions under the operator's name.

    Raises StoreMissing if there is no store, GatewayError if `which` names an account or a route that neither the
    configuration nor the store knows.
    """

    async def run() -> T:
        # No store is made: in another working directory than the gateway's, an empty one would mislead.
        store = open_store(dataclasses.replace(config.store, actor=user_name(), origin="command line"), create=False)
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
