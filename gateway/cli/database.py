"""Commands on the store's database: migrate, move."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import voluptuous as vol

from gateway.cli import render
from gateway.cli.opening import read_config
from gateway.cli.options import config_option, json_option
from gateway.cli.progress import progress_bar
from gateway.config.store_url import store_url
from gateway.operate import views
from gateway.operate.database import move_database, require_movable
from gateway.store import migrate_store


@click.command()
@config_option
@click.option(
    "--contract", is_flag=True, help="Also drop schema parts that only older versions use; stop those gateways first."
)
@json_option
def migrate(config_path: Path, contract: bool, as_json: bool) -> None:
    """Migrate the store to this version's schema. On PostgreSQL, gateways of the last version may keep running."""
    steps = migrate_store(read_config(config_path).store, contract)
    if as_json:
        render.print_json({"step": step} for step in steps)
    else:
        click.echo("\n".join(f"applied {step}" for step in steps) or "The store is up to date.")


def postgres_url(ctx: click.Context, param: click.Parameter, text: str) -> str:
    """Return the URL. Raises click.BadParameter if it is not PostgreSQL's."""
    try:
        url = store_url(text)
    except vol.Invalid as error:
        raise click.BadParameter(str(error)) from None
    if not url.startswith("postgresql://"):
        raise click.BadParameter("expected postgresql://user@host/database")
    return url


@click.command()
@config_option
@click.option(
    "--to",
    "url",
    required=True,
    callback=postgres_url,
    envvar="CLOUDSIGNAL_MOVE_TO",
    show_envvar=True,
    help="The PostgreSQL database to fill. Use the variable if the URL has a password, which ps would show.",
)
@json_option
def move(config_path: Path, url: str, as_json: bool) -> None:
    """Copy a store from SQLite to PostgreSQL, and compare the two ledgers. Stop the gateway first.

    An interrupted move continues where it ended. The SQLite file is not changed, except that leases are released.
    """
    config = read_config(config_path)
    require_movable(config)
    with progress_bar("signals", None, hidden=as_json) as bar:
        moved = asyncio.run(move_database(config, url, bar.show))
    if as_json:
        render.print_json([views.moved_json(moved)])
    else:
        click.echo(f"{moved.signals} signals and {moved.deliveries} deliveries were copied; the ledgers agree.")
        click.echo("Next: set store.url to the new database, and start the gateway.")
