"""Commands that set up and run the gateway: serve, check, init."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.cli import render
from gateway.cli.options import config_option, json_option
from gateway.cli.workers import serve_with_workers
from gateway.config import Config, load_config, write_starter
from gateway.errors import ConfigError, GatewayError
from gateway.logs import Redactor, set_up_logs
from gateway.service import Service, check_routes
from gateway.web.tls import make_tls_context


@click.command()
@config_option
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Processes on one port; needs PostgreSQL.")
@click.option("--worker", type=int, hidden=True)
def serve(config_path: Path, workers: int, worker: int | None) -> None:
    """Take signals and deliver them, until SIGTERM or SIGINT."""
    config = load_config(config_path)
    redact = Redactor(config.secrets)
    set_up_logs(config.log.format, config.log.level, redact)
    if workers > 1:
        serve_with_workers(config, workers)
        return
    loop_factory = find_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run_service(config, redact, worker))


async def run_service(config: Config, redact: Redactor, worker: int | None = None) -> None:
    service = Service(config, redact=redact, worker=worker)
    asked_to_stop = stop_on_signals()
    if worker is not None:
        asyncio.get_running_loop().add_reader(sys.stdin, asked_to_stop.set)  # it ends with the process that made us
    asked_to_reload = reload_on_signal(asked_to_stop)
    reloading = None
    try:
        await service.start()
        set_modules_aside()
        reloading = asyncio.create_task(reload_when_asked(service, asked_to_reload))
        if config.log.format == "console":
            with contextlib.suppress(OSError):
                click.echo(greeting(service))
        await service.serve(asked_to_stop)
    finally:
        if reloading:
            reloading.cancel()
        await service.stop()


def reload_on_signal(asked_to_stop: asyncio.Event) -> asyncio.Event:
    """Set by SIGHUP. That is also what the system sends where the terminal was closed: then it is a stop."""
    asked = asyncio.Event()
    at_a_terminal = os.isatty(0)

    def ask() -> None:
        (asked_to_stop if at_a_terminal and not os.isatty(0) else asked).set()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, ask)
    return asked


def set_modules_aside() -> None:
    """Have the garbage collector look no more at what is there to stay, which is nearly all there is: each full look
    at it would stop everything for some 40 ms, in the midst of a rush, several times a second."""
    gc.collect()
    gc.freeze()


async def reload_when_asked(service: Service, asked: asyncio.Event) -> None:
    """One reload after the other; what is asked for meanwhile is done once more."""
    while True:
        await asked.wait()
        asked.clear()
        await service.reload()


def stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM or SIGINT. A second one ends the process at once: what it had claimed is delivered again."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def ask() -> None:
        asked.set()
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in numbers:
        loop.add_signal_handler(number, ask)
    return asked


def greeting(service: Service) -> str:
    """Where each account's signals go, for the person who started it."""
    lines = ["CloudSignal Gateway takes signals at:"]
    lines += [f"  {service.url}/signals/{account.name}" for account in service.config.accounts.values()]
    if service.admin_url:
        lines.append(f"Metrics and readiness: {service.admin_url}/metrics, {service.admin_url}/readyz")
    return "\n".join(lines)


def find_loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop's where the extra is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


@click.command()
@config_option
@click.option("--connect", is_flag=True, help="Also ask each route's target whether it could deliver.")
@json_option
def check(config_path: Path, connect: bool, as_json: bool) -> None:
    """Check the configuration; print what it sets up, or every error with its place."""
    try:
        config = load_config(config_path)
        make_tls_context(config)
    except ConfigError as error:
        if not as_json:
            raise
        render.print_json({"ok": False, **dataclasses.asdict(problem)} for problem in error.problems)
        sys.exit(1)
    if as_json:
        render.print_json([summary_json(config)])
    else:
        click.echo(summary(config))
    if connect:
        connect_routes(config, as_json)


def summary(config: Config) -> str:
    """What a config sets up, in a few lines."""
    lines = [f"{config.path}: ok"]
    for tenant, accounts in config.tenants.items():
        lines.append(f"tenant {tenant}")
        for account in accounts:
            keys = render.count(len(account.keys), "key")
            lines.append(f"  account {account.name}: POST /signals/{account.name}, {keys}")
            for route in account.routes.values():
                wanted = ", ".join(sorted(route.signals)) if route.enabled else "off"
                lines.append(f"    route {route.name} -> {route.sink}: {wanted}")
            if not any(route.enabled for route in account.routes.values()):
                lines.append("    no route: its signals are kept, and delivered nowhere")
    used = Counter(route.sink for account in config.accounts.values() for route in account.routes.values())
    plugins = ", ".join(f"{name} ({render.count(used[name], 'route')})" for name in config.plugins) or "none"
    lines.append(f"plugins: {plugins}")
    totals = {"tenant": len(config.tenants), "account": len(config.accounts), "route": used.total()}
    lines.append(", ".join(render.count(number, what) for what, number in totals.items()))
    return "\n".join(lines)


def summary_json(config: Config) -> dict[str, object]:
    accounts = {
        account.name: {
            "tenant": account.tenant,
            "routes": {
                route.name: {"sink": route.sink, "signals": sorted(route.signals), "enabled": route.enabled}
                for route in account.routes.values()
            },
        }
        for account in config.accounts.values()
    }
    return {"ok": True, "tenants": list(config.tenants), "accounts": accounts, "plugins": list(config.plugins)}


def connect_routes(config: Config, as_json: bool) -> None:
    """Print what each route's target says; GatewayError where one could not deliver."""
    findings = asyncio.run(check_routes(config))
    if as_json:
        render.print_json(dataclasses.asdict(finding) for finding in findings)
    for finding in () if as_json else findings:
        click.echo(f"{'ok  ' if finding.ok else 'FAIL'} {finding.account}/{finding.route} ({finding.sink})")
        for detail in finding.details:
            click.echo(f"       {detail}")
    if failed := [finding for finding in findings if not finding.ok]:
        raise GatewayError(f"{len(failed)} of {render.count(len(findings), 'route')} could not deliver")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def init(directory: Path) -> None:
    """Write a starter configuration into DIRECTORY that runs as it is."""
    starter = write_starter(directory)
    for path in starter.files:
        click.echo(f"wrote {path}")
    click.echo(f"The starter account's key is {starter.key}; only its hash is in the config, so note it now.")
    click.echo(f"Next: cloudsignal serve --config {directory / 'gateway.yaml'}")


COMMANDS: Sequence[click.Command] = (serve, check, init)
