"""Commands on orders: orders add, orders import."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.cli import progress, render
from gateway.cli.opening import read_config, run_on_store
from gateway.cli.options import config_option, json_option
from gateway.config import Config
from gateway.operate import views
from gateway.operate.known_orders import Imported, import_orders
from gateway.operate.names import require_account
from gateway.operate.order_files import read_orders
from gateway.store import Store


@click.group()
def orders() -> None:
    """Make orders known, which frees the signals held for them."""


@orders.command()
@click.argument("account")
@click.argument("orders", nargs=-1, required=True)
@config_option
@json_option
def add(account: str, orders: tuple[str, ...], config_path: Path, as_json: bool) -> None:
    """Make ORDERS (ids or references) known to an ACCOUNT, which frees the signals held for them."""
    make_known(config_path, account, list(dict.fromkeys(orders)), as_json, quiet=True)


@orders.command("import")
@click.argument("account")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--column", help="The column of CSV, or field of JSON, that names the order.")
@config_option
@json_option
def import_(account: str, file: str, column: str | None, config_path: Path, as_json: bool) -> None:
    """Make the orders of a FILE known to an ACCOUNT, which frees the signals held for them.

    The file is CSV or JSON lines; - is standard input. The whole file is read before anything is changed. Orders that
    are known already do no harm. Ctrl-C ends the import between two transactions; to go on, import the file again.
    """
    config = read_config(config_path)
    require_account(config, account)  # before the file: standard input may be a terminal
    with click.open_file(file, encoding="utf-8-sig") as opened:
        names = read_orders(opened, file, column)
    make_known(config_path, account, names, as_json, quiet=as_json)


def make_known(config_path: Path, account: str, names: Sequence[str], as_json: bool, quiet: bool) -> None:
    """Make orders known under a progress bar, and print the numbers. If `quiet`, show no bar."""
    config = read_config(config_path)
    require_account(config, account)  # before a store is opened
    done = run_on_store(config, lambda store: run_import(store, config, account, names, quiet))
    if as_json:
        render.print_json([views.imported_json(done)])
    else:
        click.echo(describe(done))
    if done.done < done.total:
        click.echo(f"Interrupted after {done.done} of {done.total}; to go on, import the file again.", err=True)
        sys.exit(progress.INTERRUPTED)


async def run_import(store: Store, config: Config, account: str, names: Sequence[str], quiet: bool) -> Imported:
    """Make orders known until done or interrupted."""
    done = Imported(account, len(names))
    with progress.interruptible() as stop, progress.progress_bar("importing", len(names), quiet) as bar:
        async for done in import_orders(store, config, account, names, time.time(), stop):
            bar.show(done.done, done.total)
    return done


def describe(done: Imported) -> str:
    held = "1 held delivery" if done.freed == 1 else f"{done.freed} held deliveries"
    return f"{render.count(done.done, 'order')} known to {done.account}, {done.new} of them new; {held} freed."
