"""Commands on accounts: accounts list, add, remove and keep, and forget."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.cli import render
from gateway.cli.editing import carry_out, edit_options
from gateway.cli.opening import read_config, run_on_store, with_store
from gateway.cli.options import config_option, json_option
from gateway.cli.progress import INTERRUPTED, interruptible, progress_bar
from gateway.config import load_config
from gateway.errors import GatewayError
from gateway.operate import views
from gateway.operate.account_edits import prepare_addition, prepare_removal
from gateway.operate.accounts import (
    AccountRow,
    Removal,
    check_forgettable,
    forget_account,
    keep_account,
    list_accounts,
)
from gateway.operate.routes import RouteRow
from gateway.store import Store


@click.group()
def accounts() -> None:
    """Show, add and remove accounts, and settle what an earlier client left."""


@accounts.command("list")
@config_option
@click.option("--account", help="Only this account.")
@json_option
def list_(config_path: Path, account: str | None, as_json: bool) -> None:
    """List accounts: endpoint, keys with their last use and end, last signal, health of the routes."""
    config = read_config(config_path, despite_errors=True)
    rows = run_on_store(config, lambda store: list_accounts(store, config, account))
    if as_json:
        now = time.time()
        render.print_json(views.account_json(row, now) for row in rows)
        return
    for row in rows:
        click.echo("\n".join(in_lines(row)))


def in_lines(row: AccountRow) -> list[str]:
    """Return an account in a few lines, each short enough for a terminal."""
    last = render.moment(row.last_signal) or "none yet"
    if row.endpoint:
        lines = [f"{row.account} ({row.tenant}): POST {row.endpoint}"]
    else:
        left = f"left the configuration on {render.moment(row.left_at)}" if row.left_at else "not in the configuration"
        lines = [f"{row.account} ({row.tenant}): {left}"]
    lines.append(f"  last signal: {last}; pending deliveries: {row.pending}")
    for key in row.keys:
        used = render.moment(key.last_used) or "never"
        end = f"; ends {key.expires:%Y-%m-%d %H:%M}" if key.expires else ""
        lines.append(f"  key {render.show(key.label)}: last used {used}{end}")
    return [*lines, *(f"  route {describe_route(route)}" for route in row.routes)]


def describe_route(row: RouteRow) -> str:
    """Return a route's name, state and reason, and what waits or has failed on it."""
    counts = {"pending": row.backlog.pending, "dead": row.dead}
    state = ", ".join([row.status, *(f"{number} {what}" for what, number in counts.items() if number)])
    return f"{row.key[1]}: {state}" + (f": {render.show(row.why)}" if row.why else "")


@accounts.command()
@click.argument("name")
@click.option("--tenant", help="The reseller to whom the account belongs; may be left out if there is only one.")
@config_option
@edit_options
@json_option
def add(name: str, tenant: str | None, config_path: Path, as_json: bool, **how: bool) -> None:
    """Add an account with a new key to its tenant's file; print the key and the URL for Cloudprinter.

    The file keeps its comments. The change is shown, checked with the whole configuration, and then written.
    """
    carry_out(prepare_addition(read_config(config_path), name, tenant, datetime.now(UTC)), as_json=as_json, **how)


@accounts.command()
@click.argument("name")
@config_option
@edit_options
@json_option
def remove(name: str, config_path: Path, as_json: bool, **how: bool) -> None:
    """Remove an account from the configuration. Its signals stay in the store until `cloudsignal forget`."""
    carry_out(prepare_removal(read_config(config_path), name), as_json=as_json, **how)


@accounts.command()
@click.argument("account")
@config_option
def keep(account: str, config_path: Path) -> None:
    """Leave an earlier client's signals to the account that has its name now.

    Use it if the account is the same client with new keys. `cloudsignal forget` removes the signals instead.
    """
    with_store(config_path, lambda store: keep_account(store, account, time.time()))
    click.echo(f"{account}: the signals in the store belong to the account in the configuration. Now reload or start.")


@click.command()
@click.argument("account")
@config_option
@click.option("--dry-run", is_flag=True, help="Count the rows to remove, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Although a gateway may still serve the account.")
@json_option
def forget(account: str, config_path: Path, dry_run: bool, yes: bool, force: bool, as_json: bool) -> None:
    """Remove everything of an account that left the configuration, pending deliveries too.

    Signals, deliveries, quarantine, known orders, state of routes and sinks, and actions go. Files that a sink wrote,
    backups and the log are not touched.
    """
    config = read_config(config_path)
    if account in config.accounts:
        config = load_config(config_path)  # its keys tell if it is the client that the store knows

    async def run(store: Store) -> Removal:
        found = await check_forgettable(store, config, account, force)
        if dry_run:
            return found
        ask(account, found, yes)
        removed, total = found, found.signals + found.quarantined
        with interruptible() as stop, progress_bar("removing", total, as_json) as bar:
            async for removed in forget_account(store, account, time.time(), stop):
                bar.show(removed.signals + removed.quarantined, total)
        return removed

    found = run_on_store(config, run)
    if as_json:
        render.print_json([views.forgotten_json(account, found, dry_run)])
    else:
        click.echo(f"{in_words(found)} {'would be removed; nothing was changed' if dry_run else 'removed'}.")
    if not dry_run and not found.done:
        click.echo("Interrupted: run the command again to remove the rest.", err=True)
        sys.exit(INTERRUPTED)


def ask(account: str, found: Removal, yes: bool) -> None:
    """Ask at a terminal. Raises GatewayError elsewhere, unless --yes was given."""
    if yes:
        return
    question = f"Remove {in_words(found)} of {account}? This can't be undone"
    if not sys.stdin.isatty():
        raise GatewayError(f"{in_words(found)} of {account} would be removed: confirm with --yes")
    click.confirm(question, abort=True)


def in_words(found: Removal) -> str:
    deliveries = "1 delivery" if found.deliveries == 1 else f"{found.deliveries} deliveries"
    return (
        f"{render.count(found.signals, 'signal')}, {deliveries} ({found.pending} pending), "
        f"{render.count(found.quarantined, 'quarantined request')} and {render.count(found.orders, 'known order')}"
    )
