"""The command orders."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from gateway.cli import render
from gateway.cli.opening import read_config, run_on_store
from gateway.cli.options import config_option, json_option
from gateway.operate.known_orders import add_known_orders
from gateway.operate.names import require_account


@click.command()
@click.argument("account")
@click.argument("orders", nargs=-1)
@click.option(
    "--from",
    "file",
    type=click.File("r", "utf-8-sig"),
    help="Read orders from a file, one a line; - is standard input.",
)
@config_option
@json_option
def orders(account: str, orders: tuple[str, ...], file: Any, config_path: Path, as_json: bool) -> None:
    """Make orders (ids or references) known to an ACCOUNT, which frees the signals held for them."""
    try:
        names = [*orders, *(line.strip() for line in file or () if line.strip())]
    except UnicodeDecodeError:
        raise click.UsageError("--from: the file is not UTF-8 text") from None
    if not names:
        raise click.UsageError("name at least one order, or use --from FILE")
    config = read_config(config_path)
    require_account(config, account)  # before a store is opened, or made
    freed = run_on_store(config, lambda store: add_known_orders(store, config, account, names, time.time()))
    if as_json:
        render.print_json([{"account": account, "orders": len(names), "freed": freed}])
        return
    known, held = render.count(len(names), "order"), "delivery" if freed == 1 else "deliveries"
    click.echo(f"{known} known to {account}; {freed} held {held} freed.")
