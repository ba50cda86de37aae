"""Commands on orders: orders list, orders show, orders rebuild, orders add, orders import."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.cli import progress, render, table
from gateway.cli.opening import read_config, run_on_store, with_store
from gateway.cli.options import TIMES, config_option, duration, json_option, limit_option, parse_time
from gateway.config import Config
from gateway.operate import order_views, views
from gateway.operate.explain import Explanation
from gateway.operate.known_orders import Imported, import_orders
from gateway.operate.lookups import Filter
from gateway.operate.names import require_account
from gateway.operate.order_files import read_orders
from gateway.operate.orders import (
    NEVER,
    STATES,
    ItemState,
    OrderDetails,
    OrderState,
    Rebuilt,
    list_orders,
    make_order_filter,
    rebuild_orders,
    show_orders,
    word_of,
)
from gateway.store import Store


@click.group()
def orders() -> None:
    """See the states of orders; make orders known, which frees the signals held for them."""


@orders.command("list")
@config_option
@click.option("--account", help="Only this account's.")
@click.option("--state", type=click.Choice(STATES), help="Only in this state.")
@click.option(
    "--stuck", metavar="TIME", callback=duration, help="Only if an item has waited at its stage so long, such as 48h."
)
@click.option("--since", type=parse_time, help=f"Only with a signal since this time: {TIMES}.")
@limit_option
@json_option
def list_(
    config_path: Path,
    account: str | None,
    state: str | None,
    stuck: float | None,
    since: float | None,
    limit: int,
    as_json: bool,
) -> None:
    """List orders with their states, the ones with the latest signals first.

    An order is as far as its least advanced item. Its state is `problem` while an item has a print error or a failed
    delivery that nothing followed.
    """
    accounts = None if account is None else [account]
    stuck_before = None if stuck is None else time.time() - stuck
    which = make_order_filter(accounts, state, since, stuck_before)
    found = with_store(
        config_path, lambda store: list_orders(store, which, limit), Filter(account=account), despite_errors=True
    )
    if as_json:
        render.print_json(order_views.order_json(order) for order in found)
    else:
        render.print_table([order_line(order) for order in found], "No orders.")


@orders.command()
@click.argument("order")
@click.option("--account", help="Only this account's.")
@config_option
@json_option
def show(order: str, account: str | None, config_path: Path, as_json: bool) -> None:
    """Show an ORDER: its items, and each of its signals with its result on each route.

    ORDER is the vendor's order id, your order reference, an item's id or a tracking number.
    """
    config = read_config(config_path, despite_errors=True)
    accounts = None if account is None else [account]
    found = run_on_store(
        config, lambda store: show_orders(store, config, order, time.time(), accounts), Filter(account=account)
    )
    if as_json:
        render.print_json(map(order_views.order_details_json, found))
        return
    for number, details in enumerate(found):
        click.echo("\n" if number else "", nl=False)
        print_order(details)


@orders.command()
@config_option
@json_option
def rebuild(config_path: Path, as_json: bool) -> None:
    """Make the states of all orders anew from their signals, beside a running gateway.

    The result is the same as before, unless the store was damaged. Signals that were purged are not added again.
    """
    done = with_store(config_path, lambda store: run_rebuild(store, hidden=as_json))
    if as_json:
        render.print_json([order_views.rebuilt_json(done)])
    else:
        click.echo(f"{render.count(done.done, 'order')} made anew.")
    if not done.finished:
        click.echo("Interrupted; it can be run again.", err=True)
        sys.exit(progress.INTERRUPTED)


async def run_rebuild(store: Store, hidden: bool) -> Rebuilt:
    """Make states anew under a progress bar, until done or interrupted."""
    done = Rebuilt()
    with progress.interruptible() as stop, progress.progress_bar("rebuilding", None, hidden) as bar:
        async for done in rebuild_orders(store, time.time(), stop):
            bar.show(done.done, done.total)
    return done


# -- known orders


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


# -- tables


def order_line(order: OrderState) -> dict[str, object]:
    row = order_views.order_json(order)
    return {
        "order": order.order,
        "account": order.account,
        "reference": order.reference,
        "state": row["state"],
        "since (UTC)": moment(order.since),
        "items": ", ".join(f"{number} {word}" for word, number in row["stages"].items()),
        "signals": order.signals,
        "late": order.late,
        "last signal (UTC)": moment(order.last_seen),
    }


def moment(micros: int) -> str:
    """Return a state's time for people."""
    return "" if micros == NEVER else render.moment(micros / 1e6)


def print_order(details: OrderDetails) -> None:
    reference = f" (your reference {details.state.reference})" if details.state and details.state.reference else ""
    table.print_text(f"Order {details.order}{reference} of {details.account}")
    if details.state is None:
        click.echo("Its state follows: no signal of it was added yet.")
    else:
        render.print_table([order_line(details.state)], "")
    click.echo("\nItems")
    render.print_table([item_line(item) for item in details.items], "  none: no signal named an item")
    for entry in details.timeline:
        signal = entry.explained.row.signal
        item = f" of item {signal.item}" if signal.item else ""
        late = ", late" if signal.late else ""
        at, received = (render.moment(when.timestamp()) for when in (signal.at, signal.received_at))
        click.echo()
        table.print_text(f"{at} {signal.type}{item} (signal {signal.id}, received {received}{late})")
        render.print_table([route_line(route) for route in entry.explained.routes], "The account has no routes.")
        for route, attempts in entry.attempts.items():
            for attempt in attempts:
                told = f"{attempt.kind.value}: {attempt.reason}"
                table.print_text(f"  {route}, attempt {attempt.number} at {render.moment(attempt.started_at)}: {told}")


def item_line(item: ItemState) -> dict[str, object]:
    problem = item.problem if item.problems else None
    parcels = [" ".join(filter(None, (n, p.option[1], p.url[1]))) for n, p in sorted(item.tracking.items())]
    return {
        "item": item.item,
        "reference": item.reference,
        "state": word_of(item),
        "since (UTC)": moment(item.since),
        "tracking": ", ".join(parcels),
        "problem": problem and " ".join(filter(None, (problem.type, problem.cause, problem.message))),
    }


def route_line(route: Explanation) -> dict[str, object]:
    return {
        "route": route.route,
        "state": route.delivery.state if route.delivery else route.why,
        "why": route.text,
        "try": route.advice,
    }
