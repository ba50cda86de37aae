"""The command actions."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli import render
from gateway.cli.opening import with_store
from gateway.cli.options import config_option, json_option, limit_option
from gateway.operate import views
from gateway.operate.actions import Action, Filter, list_actions


@click.command()
@config_option
@click.option("--account", help="An account's name.")
@limit_option
@json_option
def actions(config_path: Path, account: str | None, limit: int, as_json: bool) -> None:
    """List actions of people, programs and commands, newest first: who did what, when and from where."""
    which = Filter(account=account)
    rows = with_store(config_path, lambda store: list_actions(store, which, limit), which, despite_errors=True)
    if as_json:
        render.print_json(map(views.action_json, rows))
    else:
        render.print_table([action_line(row) for row in rows], "No actions.")


def action_line(row: Action) -> dict[str, object]:
    details = {name: value for name, value in row.detail.items() if name != "account" and value not in (None, "", [])}
    return {
        "at (UTC)": render.moment(row.at),
        "actor": row.actor,
        "from": row.origin,
        "action": row.action,
        "account": row.account,
        "details": ", ".join(f"{name}: {value}" for name, value in details.items()),
    }
