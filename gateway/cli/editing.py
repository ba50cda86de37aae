"""Edits of the configuration by a command: show the diff, ask, write, print a new key once, offer a reload."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from gateway.cli import render
from gateway.cli.opening import run_on_store
from gateway.cli.reload import ask_gateway, print_answer
from gateway.config import Config
from gateway.errors import GatewayError, StoreMissing
from gateway.operate import account_edits, views
from gateway.operate.account_edits import AccountEdit
from gateway.operate.processes import find_process
from gateway.store import Store

F = TypeVar("F", bound=Callable[..., object])
DASHBOARD = "In Cloudprinter's dashboard, at CloudSignal Webhooks, enter:"


def edit_options(command: F) -> F:
    """Add the options that `carry_out` takes."""
    for option in (
        click.option("--reload", "then_reload", is_flag=True, help="Then have the running gateway reload."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Show the change, and write nothing."),
    ):
        command = option(command)
    return command


def carry_out(prepared: AccountEdit, dry_run: bool, yes: bool, then_reload: bool, as_json: bool) -> None:
    """Show a prepared edit; write it when it is confirmed. Raises GatewayError if it can't be."""
    foreseen = on_store(prepared.config, lambda store: account_edits.foresee(store, prepared)) or []
    for line in () if as_json else (*prepared.diff, *foreseen):
        click.echo(render.show(line) if line else "")
    if not dry_run:
        confirm(f"Write this to {prepared.edit.path}?", yes)
        account_edits.write(prepared)
    if as_json:
        render.print_json([views.account_edit_json(prepared, not dry_run)])
    elif dry_run:
        click.echo("nothing was written")
    else:
        print_result(prepared)
    if not dry_run:
        record(prepared)
        offer_reload(prepared.config, then_reload, as_json)


def record(prepared: AccountEdit) -> None:
    """Record the action. That comes after a new key was shown: the file has only its digest."""
    try:
        on_store(prepared.config, lambda store: account_edits.record(store, prepared, time.time()))
    except GatewayError as error:
        click.echo(f"the action was not recorded: {error}", err=True)


T = TypeVar("T")


def on_store(config: Config, work: Callable[[Store], Awaitable[T]]) -> T | None:
    """Return the result of `work` on the store, None before a first gateway has made one."""
    try:
        return run_on_store(config, work)
    except StoreMissing:
        return None


def confirm(question: str, yes: bool) -> None:
    """Ask at a terminal. Raises GatewayError elsewhere, unless --yes was given."""
    if yes:
        return
    if not is_interactive():
        raise GatewayError("nothing was written: confirm with --yes")
    click.confirm(question, default=True, abort=True, err=True)


def is_interactive() -> bool:
    """Return True if a person can be asked."""
    return sys.stdin.isatty()


def print_result(prepared: AccountEdit) -> None:
    """Print what was written and, once, a new key with what to do with it."""
    click.echo(f"wrote {prepared.edit.path}")
    if prepared.key is None:
        return
    click.echo(DASHBOARD)
    hint = "" if "://" in prepared.endpoint else "  (after the gateway's address: set server.public_url)"
    click.echo(f"  URL:             {prepared.endpoint}{hint}")
    click.echo(f"  Webhook API key: {prepared.key}")
    click.echo("The key is not shown again; the file has only its digest.")
    if prepared.old_keys_end:
        click.echo(f"The keys before it end at {prepared.old_keys_end:%Y-%m-%d %H:%M} UTC: enter the new one by then.")


def offer_reload(config: Config, wanted: bool, as_json: bool) -> None:
    """Reload the running gateway if that is wanted, or agreed to at a terminal; else name the command."""
    try:
        process = find_process(config)
    except GatewayError as error:
        if wanted:
            raise
        click.echo(f"Not in force yet: {error}", err=True)
        return
    if not wanted and is_interactive():
        wanted = click.confirm(f"Reload the running gateway (process {process}) now?", default=True, err=True)
    if not wanted:
        click.echo("Not in force yet: cloudsignal reload", err=True)
        return
    answer = ask_gateway(config, process)
    if not as_json:
        print_answer(config, answer)
