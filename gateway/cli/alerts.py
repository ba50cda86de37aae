"""Commands on alerts: alerts, alerts acknowledge."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from gateway.alerts import Alert
from gateway.cli import render
from gateway.cli.opening import with_store
from gateway.cli.options import config_option, json_option, limit_option
from gateway.operate import views
from gateway.operate.alerts import AlertFilter, acknowledge_alert, list_alerts
from gateway.operate.lookups import Filter


@click.group(invoke_without_command=True)
@config_option
@click.option("--account", help="An account's name.")
@click.option(
    "--state",
    type=click.Choice(["open", "raised", "acknowledged", "cleared", "all"]),
    default="open",
    show_default=True,
    help="Alerts in this state; open ones are raised or acknowledged.",
)
@limit_option
@json_option
@click.pass_context
def alerts(ctx: click.Context, config_path: Path, account: str | None, state: Any, limit: int, as_json: bool) -> None:
    """List alerts, newest first: overdue orders, silent accounts, sick routes, keys that end, a full store."""
    if ctx.invoked_subcommand:
        given = [name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            raise click.UsageError(f"give options behind the command: alerts {ctx.invoked_subcommand} …")
        return
    which = AlertFilter(accounts=account and [account], state=None if state == "all" else state)
    named = Filter(account=account)
    rows = with_store(config_path, lambda store: list_alerts(store, which, limit), named, despite_errors=True)
    if as_json:
        render.print_json(map(views.alert_json, rows))
    else:
        empty = "No alerts." if state == "all" else f"No alerts are {state}."
        render.print_table([alert_line(row) for row in rows], empty)


@alerts.command()
@click.argument("id", type=int)
@config_option
@json_option
def acknowledge(id: int, config_path: Path, as_json: bool) -> None:
    """Note that you have seen an open alert. It stays open until its condition is over."""
    alert, noted = with_store(config_path, lambda store: acknowledge_alert(store, id, time.time()), despite_errors=True)
    if as_json:
        render.print_json([views.alert_json(alert)])
    elif noted:
        click.echo(f"Alert {id} is acknowledged: {alert.condition.message}.")
    else:
        by = f" by {alert.acknowledged_by}" if alert.state == "acknowledged" else ""
        click.echo(f"Alert {id} was {alert.state}{by} already.")


def alert_line(alert: Alert) -> dict[str, object]:
    found = alert.condition
    return {
        "id": alert.id,
        "raised (UTC)": render.moment(alert.raised_at),
        "cleared (UTC)": render.moment(alert.cleared_at),
        "account": found.account,
        "alert": found.name,
        "state": alert.state,
        "order": found.order_reference or found.order,
        "item": found.item,
        "message": found.message,
    }
