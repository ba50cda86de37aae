"""Commands that check and set up a configuration: check, init."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gateway.cli import render
from gateway.cli.opening import run_on_store
from gateway.cli.options import config_option, json_option
from gateway.config import Config, load_checked, review, write_starter
from gateway.errors import ConfigError, GatewayError
from gateway.operate import views
from gateway.operate.check import RouteCheck, check_routes
from gateway.operate.check_store import check_store
from gateway.operate.reload import preview
from gateway.operate.schemas import write_schemas
from gateway.web.tls import make_tls_context


@click.command()
@config_option
@click.option(
    "--connect", is_flag=True, help="Also ask the store, and each route's target, whether they could be used."
)
@click.option("--diff", is_flag=True, help="Also print what differs from the configuration that a gateway used last.")
@click.option("--account", help="With --connect: only this account's routes.")
@click.option("--route", help="With --connect: only routes of this name.")
@json_option
def check(config_path: Path, connect: bool, diff: bool, account: str | None, route: str | None, as_json: bool) -> None:
    """Check the configuration; print a summary, or every error with its place."""
    if not connect and (account or route):
        raise click.UsageError("--account and --route choose the routes for --connect")
    try:
        config = load_checked(config_path)
        make_tls_context(config)
        warnings = review(config, datetime.now(UTC))
    except ConfigError as error:
        if not as_json:
            raise
        render.print_json(map(views.problem_json, error.problems))
        sys.exit(1)
    if as_json:
        render.print_json([views.config_json(config, warnings)])
    else:
        click.echo(summarize(config, short=connect))
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
    if diff:
        print_diff(config, as_json)
    if connect:
        connect_all(config, account, route, as_json)


def print_diff(config: Config, as_json: bool) -> None:
    """Print the changes that a reload would make."""
    found = run_on_store(config, lambda store: preview(store, config))
    if as_json:
        render.print_json(map(views.change_json, found.changes))
        return
    if found.first:
        click.echo("no gateway has used this store yet: everything comes")
        return
    for change in found.changes:
        click.echo(f"change: {render.show(change)}")
    if not found.changes:
        click.echo("no change: a gateway used this configuration last")
    for danger in found.dangers:
        click.echo(f"a reload would need --force: {render.show(danger)}", err=True)


def summarize(config: Config, short: bool = False) -> str:
    """Return a configuration's tenants, accounts, routes and plugins in a few lines; if `short`, their numbers."""
    lines = [f"{config.path}: ok"]
    for tenant, accounts in () if short else config.tenants.items():
        lines.append(f"tenant {tenant}")
        for account in accounts:
            keys = render.count(len(account.keys), "key")
            lines.append(f"  account {account.name}: POST {config.endpoint(account.name)}, {keys}")
            for route in account.routes.values():
                wanted = ", ".join(sorted(route.signals)) if route.enabled else "off"
                lines.append(f"    route {route.name} -> {route.sink}: {wanted}")
            if not any(route.enabled for route in account.routes.values()):
                lines.append("    no route: its signals are kept, and delivered nowhere")
    used = Counter(route.sink for route in config.routes.values())
    plugins = ", ".join(f"{name} ({render.count(used[name], 'route')})" for name in config.plugins) or "none"
    if not short:
        lines.append(f"plugins: {plugins}")
    totals = {"tenant": len(config.tenants), "account": len(config.accounts), "route": used.total()}
    lines.append(", ".join(render.count(number, noun) for noun, number in totals.items()))
    return "\n".join(lines)


def connect_all(config: Config, account: str | None, route: str | None, as_json: bool) -> None:
    """Print the answers of the store and of each target, failures last. Raises GatewayError for a failure."""
    store = asyncio.run(check_store(config))
    checks = asyncio.run(check_routes(config, account, route))
    if as_json:
        render.print_json([views.store_check_json(store), *map(views.check_json, checks)])
    else:
        click.echo(f"{'ok  ' if store.ok else 'FAIL'} store {render.show(store.store)}")
        click.echo(f"       {render.show(store.detail)}")
        print_checks(checks)
    if not store.ok:
        raise GatewayError(f"the store: {render.show(store.detail)}")
    if failed := [check for check in checks if not check.ok]:
        first = f"{failed[0].account}/{failed[0].route}: {'; '.join(failed[0].details)}"
        raise GatewayError(
            f"{len(failed)} of {render.count(len(checks), 'route')} could not deliver; the first: {render.show(first)}"
        )


def print_checks(checks: Sequence[RouteCheck]) -> None:
    """Print a line for each target, and the details below it."""
    answers: dict[tuple[Any, ...], list[RouteCheck]] = {}
    for check in sorted(checks, key=lambda check: not check.ok):
        answers.setdefault((not check.ok, check.sink, check.details), []).append(check)
    for (fails, sink, details), (first, *others) in answers.items():
        also = f", and {render.count(len(others), 'other route')}" if others else ""
        click.echo(f"{'FAIL' if fails else 'ok  '} {first.account}/{first.route} ({sink}){also}")
        for detail in details:
            click.echo(f"       {render.show(detail)}")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def init(directory: Path) -> None:
    """Write a starter configuration into DIRECTORY that runs as it is."""
    starter = write_starter(directory)
    for path in (*starter.files, *write_schemas(directory / "gateway.yaml")):
        click.echo(f"wrote {path}")
    click.echo(f"The starter account's key is {starter.key}; only its hash is in the config, so note it now.")
    click.echo(f"Next: cloudsignal serve --config {directory / 'gateway.yaml'}")
