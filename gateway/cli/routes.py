"""Commands on routes: routes, pause, resume."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gateway.cli import render
from gateway.cli.opening import read_config, run_on_store
from gateway.cli.options import config_option, json_option
from gateway.config import Config
from gateway.operate import views
from gateway.operate.lookups import Filter
from gateway.operate.routes import RouteRow, list_routes, pause_route, read_route, resume_route


@click.command()
@config_option
@click.option("--account", help="An account's name.")
@click.option("--failing", is_flag=True, help="Only routes that deliver nothing, or have dead letters.")
@json_option
def routes(config_path: Path, account: str | None, failing: bool, as_json: bool) -> None:
    """List routes, sick ones first: state and reason, pending deliveries, dead letters."""
    config = read_config(config_path, despite_errors=True)
    rows = run_on_store(config, lambda store: list_routes(store, config, account, failing), Filter(account=account))
    now = time.time()
    if as_json:
        render.print_json(views.route_json(row, now) for row in rows)
    else:
        empty = "No route is failing." if failing else "No routes."
        render.print_table([route_line(row, now) for row in rows], empty)


@click.command()
@click.argument("account")
@click.argument("route")
@click.option("--why", default="", help="The reason, shown to other operators.")
@config_option
@json_option
def pause(account: str, route: str, why: str, config_path: Path, as_json: bool) -> None:
    """Stop delivering on a ROUTE of an ACCOUNT. Its signals are still accepted, and wait.

    The route stays paused until it is resumed, also over restarts of the gateway. A running gateway follows within
    seconds; attempts that are under way then still end.
    """
    config = read_config(config_path, despite_errors=True)
    row = run_on_store(config, lambda store: pause_route(store, config, (account, route), why, time.time()))
    if as_json:
        print_route(config, row)
        return
    click.echo(f"{account}/{route} is paused; {pending_of(row)} will wait.")


@click.command()
@click.argument("account")
@click.argument("route")
@config_option
@json_option
def resume(account: str, route: str, config_path: Path, as_json: bool) -> None:
    """Deliver again on a paused ROUTE of an ACCOUNT. A running gateway follows within seconds."""
    config = read_config(config_path, despite_errors=True)
    row = run_on_store(config, lambda store: resume_route(store, config, (account, route), time.time()))
    if as_json:
        print_route(config, row)
        return
    if not row.state.paused:
        click.echo(f"{account}/{route} was not paused.")
        if row.probe_at is not None:
            click.echo(f"It rests: {row.why}. `cloudsignal probe {account} {route}` tries it now.")
        return
    click.echo(f"{account}/{route} is resumed; {pending_of(row)}.")
    if row.state.reason:
        click.echo(f"Its target was failing before: {row.state.reason}.")
        click.echo(f"The gateway probes it first; `cloudsignal probe {account} {route}` does so now.")


def print_route(config: Config, before: RouteRow) -> None:
    """Print a route as it is now, as JSON."""
    row = run_on_store(config, lambda store: read_route(store, config, before.key))
    render.print_json([views.route_json(row, time.time())])


def pending_of(row: RouteRow) -> str:
    number = row.backlog.pending
    return f"{number} pending {'delivery' if number == 1 else 'deliveries'}"


def route_line(row: RouteRow, now: float) -> dict[str, object]:
    oldest = row.backlog.oldest_at
    return {
        "account": row.key[0],
        "route": row.key[1],
        "sink": row.route.sink if row.route else "",
        "state": row.status,
        "pending": row.backlog.pending,
        "dead": row.dead,
        "due": row.backlog.due,
        "oldest": "" if oldest is None else render.age(now - oldest),
        "next probe (UTC)": render.moment(row.probe_at),
        "why": row.why,
    }
