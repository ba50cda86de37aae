"""The command serve: one gateway, or several worker processes on one port."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import structlog

from gateway.cli.editing import DASHBOARD
from gateway.cli.event_loop import run_gateway
from gateway.cli.hang_ups import handle_hang_ups
from gateway.cli.options import config_option
from gateway.cli.workers import serve_with_workers
from gateway.config import Config, load_config
from gateway.errors import StoreError
from gateway.log_output import LineStream, LogOutput, descriptor_of
from gateway.logs import Redactor, set_up_logs
from gateway.operate.accounts import Awaited, find_awaited
from gateway.operate.reload import MAX_WORKERS
from gateway.service import Service
from gateway.store import Store
from gateway.web.descriptors import raise_descriptor_limit

log = structlog.get_logger()

MAX_AWAITED = 10
"""Accounts without a signal that a start tells of."""


@click.command()
@config_option
@click.option(
    "--workers", type=click.IntRange(1, MAX_WORKERS), default=1, help="Processes on one port; needs PostgreSQL."
)
@click.option("--worker", type=int, hidden=True)
@click.option("--socket", "inherited", type=int, multiple=True, hidden=True)
def serve(config_path: Path, workers: int, worker: int | None, inherited: tuple[int, ...]) -> None:
    """Accept signals and deliver them, until SIGTERM or SIGINT."""
    config = load_config(config_path)
    raise_descriptor_limit()
    redact = Redactor(config.secrets)
    output = LogOutput(descriptor_of(sys.stderr))
    set_up_logs(config.log.format, config.log.level, redact, output)
    # A plugin that prints must not block the gateway either, if nobody reads.
    sys.stderr = LineStream(output, redact, sys.stderr)
    sys.stdout = LineStream(LogOutput(descriptor_of(sys.stdout)), redact, sys.stdout)
    if workers > 1 and worker is None:
        serve_with_workers(config, workers)
        return
    serving = run_service(config, redact, worker, workers, output, inherited)
    run_gateway(serving, find_loop_factory() or asyncio.new_event_loop, output.drain)


async def run_service(
    config: Config,
    redact: Redactor,
    worker: int | None = None,
    workers: int = 1,
    output: LogOutput | None = None,
    inherited: Sequence[int] = (),
) -> None:
    """Run a gateway until it is asked to stop; `worker` is its number among `workers`, `output` takes its log.

    `inherited` are descriptors of listening Unix sockets, which workers share.
    """
    service = Service(config, redact=redact, worker=worker, workers=workers, inherited=inherited, log_output=output)
    asked_to_stop = stop_on_signals()
    if worker is not None:
        asyncio.get_running_loop().add_reader(sys.stdin, asked_to_stop.set)  # closed when the parent process ends
    asked_to_reload = reload_on_signal(asked_to_stop)
    reloading = None
    try:
        if not await service.start(asked_to_stop):
            return
        set_modules_aside()
        reloading = asyncio.create_task(reload_when_asked(service, asked_to_reload))
        if config.log.format == "console":
            click.echo(greeting(service))
        if not worker:  # one of several workers is enough
            await announce_awaited(service.store, config)
        await service.serve(asked_to_stop)
    finally:
        if reloading:
            reloading.cancel()
        await service.stop()


def reload_on_signal(asked_to_stop: asyncio.Event) -> asyncio.Event:
    """Return an event that SIGHUP sets. If the terminal was closed, which sends SIGHUP too, the gateway stops."""
    asked = asyncio.Event()
    at_a_terminal = os.isatty(0)

    def ask() -> None:
        (asked_to_stop if at_a_terminal and not os.isatty(0) else asked).set()

    handle_hang_ups(ask)
    return asked


def set_modules_aside() -> None:
    """Exempt the loaded modules from garbage collection. They never go, and a full collection of them stops the
    process for 40 ms, several times a second under load."""
    gc.collect()
    gc.freeze()


async def reload_when_asked(service: Service, asked: asyncio.Event) -> None:
    """Run one reload after the other. Requests that arrive during a reload lead to one more."""
    while True:
        await asked.wait()
        asked.clear()
        await service.reload()


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets. A second one kills the process: leased deliveries are repeated."""
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
    """Return the endpoints of all accounts, for the person who started the gateway at a terminal."""
    found = service.listeners
    lines = ["CloudSignal Gateway accepts signals at:"]
    for url in found.urls:
        path = f"{url}, path " if url.startswith("unix:") else url
        lines += [f"  {path}/signals/{account.name}" for account in service.config.accounts.values()]
    if any(address.is_any for address in service.config.server.listen):
        lines.append("Other machines use this machine's name or address instead of 127.0.0.1.")
    for url in found.admin_urls:
        path = f"{url}, path " if url.startswith("unix:") else url
        lines.append(f"Metrics and readiness: {path}/metrics, {path}/readyz")
    return "\n".join(lines)


async def announce_awaited(store: Store, config: Config) -> None:
    """Tell of accounts that never had a signal: print what to enter at the vendor's, or log their names."""
    try:
        awaited = await find_awaited(store, config)
    except StoreError:  # the gateway itself says so, and waits for the store
        return
    if config.log.format == "console":
        click.echo("".join(f"{line}\n" for line in tell_awaited(awaited)), nl=False)
    elif awaited:
        names = [each.account for each in awaited[:MAX_AWAITED]]
        log.info("accounts.awaited", accounts=names, total=len(awaited))


def tell_awaited(awaited: Sequence[Awaited]) -> Iterator[str]:
    """Yield lines on what to enter at the vendor's, for accounts that never had a signal. No key is shown."""
    if awaited:
        yield f"No signal has come yet for these accounts. {DASHBOARD}"
    for each in awaited[:MAX_AWAITED]:
        yield f"  {each.account}: URL {each.endpoint}, Webhook API key {each.label!r} of {each.place}"
    if more := len(awaited[MAX_AWAITED:]):
        yield f"  and so for {more} more: `cloudsignal accounts list` has them all"


def find_loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """Return uvloop's event loop if the extra is installed, None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop
