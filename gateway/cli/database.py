"""Commands for a store that outgrows one gateway, or one version: migrate, move."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import click
import voluptuous as vol
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from gateway.cli import render
from gateway.cli.options import config_option, json_option
from gateway.config import load_config, values
from gateway.errors import GatewayError
from gateway.store import find_postgres, migrate_store
from gateway.store.contract import Settings
from gateway.store.move import move_store


@click.command()
@config_option
@click.option("--contract", is_flag=True, help="Also take away what only older versions used; none may be running.")
@json_option
def migrate(config_path: Path, contract: bool, as_json: bool) -> None:
    """Bring the store to this version's schema. On PostgreSQL, gateways of the version before may go on meanwhile."""
    steps = migrate_store(load_config(config_path).store, contract)
    if as_json:
        render.print_json({"step": step} for step in steps)
    else:
        click.echo("\n".join(f"applied {step}" for step in steps) or "The store is up to date.")


def postgres_url(ctx: click.Context, param: click.Parameter, text: str) -> str:
    try:
        if values.store_url(text).startswith("postgresql://"):
            return text
    except vol.Invalid:
        pass
    raise click.BadParameter("expected postgresql://user@host/database")


@click.command()
@config_option
@click.option(
    "--to",
    "url",
    required=True,
    callback=postgres_url,
    envvar="CLOUDSIGNAL_MOVE_TO",
    show_envvar=True,
    help="The PostgreSQL database to fill; by the variable where it holds a password, which ps would show.",
)
@json_option
def move(config_path: Path, url: str, as_json: bool) -> None:
    """Copy a store from SQLite to PostgreSQL, and compare the two ledgers. The gateway must be stopped.

    What was interrupted goes on where it ended. The file is left as it is, but for leases, which are released.
    """
    config = load_config(config_path)
    source = config.store
    if not source.url.startswith("sqlite"):
        raise GatewayError("store.url: expected the SQLite store to move, sqlite:///path/of/a/file.db")
    find_postgres()
    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=as_json) as progress:
        bar = progress.add_task("signals", total=None)

        def tell(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        moved = asyncio.run(move_store(source, Settings(url), config.retention, tell))
    if as_json:
        render.print_json([dataclasses.asdict(moved)])
    else:
        click.echo(
            f"{moved.signals} signals and {moved.deliveries} deliveries are at the new place; the ledgers agree."
        )
        click.echo("Next: set store.url to it, and start the gateway.")


COMMANDS = (migrate, move)
