"""The command that has a running gateway read its configuration again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import click

from gateway.cli import render
from gateway.cli.opening import run_on_store
from gateway.cli.options import config_option
from gateway.config import Config, load_config
from gateway.errors import GatewayError
from gateway.store import serving_process
from gateway.store.contract import Store

LOOK_EVERY = 0.1
"""Seconds between looks for the gateway's answer."""


@click.command()
@config_option
@click.option("--pid", type=click.IntRange(1), help="The gateway's process id; needed where PostgreSQL is the store.")
@click.option("--wait", type=click.FloatRange(0), default=60.0, show_default=True, help="Seconds it has to answer.")
def reload(config_path: Path, pid: int | None, wait: float) -> None:
    """Have the running gateway take up a changed configuration: all of it, or nothing where something is wrong."""
    config = load_config(config_path)
    process = pid or serving_process(config.store)
    if process is None:
        raise GatewayError(nobody_there(config))
    trouble = run_on_store(config, lambda store: ask(store, process, wait))
    if trouble:
        raise GatewayError(f"the gateway goes on with its last configuration:\n{trouble}")
    accounts = render.count(len(config.accounts), "account")
    routes = sum(len(account.routes) for account in config.accounts.values())
    click.echo(f"reloaded: {accounts}, {render.count(routes, 'route')}")


def nobody_there(config: Config) -> str:
    if config.store.url.startswith("sqlite"):
        return f"no gateway is running on {config.store.url}: `cloudsignal serve` starts one"
    return "name the gateway's process with --pid, or send it SIGHUP"


async def ask(store: Store, process: int, wait: float) -> str:
    """Send the process SIGHUP, and wait until the history has what came of it: "", or the trouble."""
    last = max((event.id for event in await store.list_actions("reload", 1)), default=0)
    try:
        os.kill(process, signal.SIGHUP)
    except OSError as error:
        raise GatewayError(f"can't reach the gateway's process {process}: {error.strerror}") from error
    until = time.monotonic() + wait
    while time.monotonic() < until:
        for event in await store.list_actions("reload", 10):
            if event.id > last and event.detail["process"] == process:
                return str(event.detail["trouble"])
        await asyncio.sleep(LOOK_EVERY)
    raise GatewayError(f"the gateway has not answered within {wait:g} s; its log tells what became of it")


COMMANDS = (reload,)
