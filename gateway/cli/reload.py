"""The command reload."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli import render
from gateway.cli.opening import read_config, run_on_store
from gateway.cli.options import config_option, json_option
from gateway.config import Config
from gateway.operate.processes import find_process
from gateway.operate.reload import Reloaded, request_reload

WAIT = 60.0
"""Seconds to wait for a gateway's answer."""


@click.command()
@config_option
@click.option("--pid", type=click.IntRange(1), help="The gateway's process id; needed if the store is PostgreSQL.")
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=WAIT,
    show_default=True,
    help="Seconds to wait for the gateway's answer.",
)
@click.option(
    "--force", is_flag=True, help="Reload although most accounts, or all files of an include entry, would go."
)
@json_option
def reload(config_path: Path, pid: int | None, wait: float, force: bool, as_json: bool) -> None:
    """Have the running gateway use the changed configuration. If anything in it is wrong, nothing changes.

    Prints what comes, goes and changes. Two reloads need --force: one that takes away more than half of the accounts,
    and one in which an include entry matches no file any more.
    """
    config = read_config(config_path)
    answer = ask_gateway(config, find_process(config, pid), wait, force)
    if as_json:
        numbers = {"accounts": len(config.accounts), "routes": len(config.routes)}
        render.print_json([{**numbers, "changes": answer.changes, "warnings": answer.warnings}])
    else:
        print_answer(config, answer)


def ask_gateway(config: Config, process: int, wait: float = WAIT, force: bool = False) -> Reloaded:
    """Have a gateway reload, and return its answer."""
    return run_on_store(config, lambda store: request_reload(store, process, wait, force))


def print_answer(config: Config, answer: Reloaded) -> None:
    for change in answer.changes:
        click.echo(render.show(change))
    for warning in answer.warnings:
        click.echo(f"warning: {render.show(warning)}", err=True)
    accounts = render.count(len(config.accounts), "account")
    click.echo(f"reloaded: {accounts}, {render.count(len(config.routes), 'route')}")
