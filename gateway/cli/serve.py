"""The command serve: one gateway, or several worker processes on one port."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import structlog

from gateway.cli.event_loop import run_gateway
from gateway.cli.options import config_option
from gateway.config import Config, load_config
from gateway.errors import GatewayError
from gateway.log_output import LineStream, LogOutput
from gateway.logs import Redactor, set_up_logs
from gateway.service import Service
from gateway.web.descriptors import raise_descriptor_limit

log = structlog.get_logger()


@click.command()
@config_option
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Processes on one port; needs PostgreSQL.")
@click.option("--worker", type=int, hidden=True)
def serve(config_path: Path, workers: int, worker: int | None) -> None:
    """Accept signals and deliver them, until SIGTERM or SIGINT."""
    config = load_config(config_path)
    raise_descriptor_limit()
    redact = Redactor(config.secrets)
    output = LogOutput(sys.stderr.fileno())
    set_up_logs(config.log.format, config.log.level, redact, output)
    # A plugin that prints must not block the gateway either, if nobody reads.
    sys.stderr, sys.stdout = LineStream(output, redact), LineStream(LogOutput(sys.stdout.fileno()), redact)
    if workers > 1:
        serve_with_workers(config, workers)
        return
    service = run_service(config, redact, worker, output)
    run_gateway(service, find_loop_factory() or asyncio.new_event_loop, output.drain)


async def run_service(
    config: Config, redact: Redactor, worker: int | None = None, output: LogOutput | None = None
) -> None:
    """Run a gateway until it is asked to stop; `worker` is its number among several, `output` takes its log."""
    service = Service(config, redact=redact, worker=worker, log_output=output)
    asked_to_stop = stop_on_signals()
    if worker is not None:
        asyncio.get_running_loop().add_reader(sys.stdin, asked_to_stop.set)  # closed when the parent process ends
    asked_to_reload = reload_on_signal(asked_to_stop)
    reloading = None
    try:
        await service.start()
        set_modules_aside()
        reloading = asyncio.create_task(reload_when_asked(service, asked_to_reload))
        if config.log.format == "console":
            click.echo(greeting(service))
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


def handle_hang_ups(handler: Callable[[], None]) -> None:
    """Call `handler` at each SIGHUP, also for one that came since the process began; see gateway/__main__.py."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


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
    lines = ["CloudSignal Gateway accepts signals at:"]
    lines += [f"  {service.url}/signals/{account.name}" for account in service.config.accounts.values()]
    if service.admin_url:
        lines.append(f"Metrics and readiness: {service.admin_url}/metrics, {service.admin_url}/readyz")
    return "\n".join(lines)


def find_loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """Return uvloop's event loop if the extra is installed, None for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


# -- workers


RESTART_AFTER = 1.0
"""Seconds before a worker that ended is started again: it bounds the load of a worker that always fails."""
START_WITHIN = 10.0
"""Seconds from the start of a worker within which an error counts as a failed start, which ends all workers."""


def check_workers(config: Config) -> None:
    """Raise GatewayError if several processes can't serve this configuration."""
    if config.store.url.startswith("sqlite"):
        raise GatewayError(
            "--workers needs PostgreSQL as the store: a SQLite file is served by one process only. Set store.url to "
            "postgresql://user@host/database (cloudsignal move copies the store), or leave --workers out"
        )
    if config.server.listen[1] == 0:
        raise GatewayError("server.listen: --workers share one port; expected a port other than 0")
    check_free(*config.server.listen)


def check_free(host: str, port: int) -> None:
    """Raise GatewayError if the port is taken. Workers would not notice: SO_REUSEPORT lets them share it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise GatewayError(f"can't listen on {host}:{port}: {error.strerror or error}") from error


class Workers:
    """Worker processes, which run `command` with `--worker N`. A worker that ends is started again.

    Their standard input is a pipe from this process. It closes however this process ends, and then they stop.
    """

    def __init__(self, command: Sequence[str], count: int) -> None:
        self._command = command
        self._count = count
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._at_a_terminal = os.isatty(0)

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT, and return the exit code. SIGHUP and these are passed on to the workers."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        handle_hang_ups(self._hang_up)
        log.info("workers.starting", workers=self._count)
        codes = await asyncio.gather(*(self._keep(number) for number in range(self._count)))
        log.info("workers.stopped")
        return max(codes)

    async def _keep(self, number: int) -> int:
        """Run one worker, again and again until stopped. Return its exit code."""
        while True:
            started = time.monotonic()
            # The process begins with the blocked signals of this one, and unblocks SIGHUP once it has its handler.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
            process = await asyncio.create_subprocess_exec(
                *self._command, "--worker", str(number), stdin=asyncio.subprocess.PIPE
            )
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
            self._running[number] = process
            if self._stopping.is_set():  # race: the stop came while the process was being created
                self._pass_on(signal.SIGTERM)
            code = await process.wait()
            del self._running[number]
            if self._stopping.is_set():
                return abs(code)
            log.error("worker.ended", worker=number, code=code)
            if code > 0 and time.monotonic() - started < START_WITHIN:
                self._stop()
                return code
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), RESTART_AFTER)
            if self._stopping.is_set():
                return 0

    def _stop(self) -> None:
        self._stopping.set()
        self._pass_on(signal.SIGTERM)

    def _hang_up(self) -> None:
        """Pass on SIGHUP, which reloads. If the terminal was closed, stop, as a single gateway does."""
        if self._at_a_terminal and not os.isatty(0):
            self._stop()
        else:
            self._pass_on(signal.SIGHUP)

    def _pass_on(self, number: signal.Signals) -> None:
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)


def serve_with_workers(config: Config, count: int) -> None:
    """Run workers until asked to stop. Exits with 1 if they could not start."""
    check_workers(config)
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(config.path)]
    if code := asyncio.run(Workers(command, count).run()):
        sys.exit(min(code, 1))
