"""Workers of the command serve: processes on one port and one PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence

import structlog

from gateway.cli.hang_ups import handle_hang_ups
from gateway.config import Address, Config
from gateway.errors import GatewayError
from gateway.web.listen import open_ports, open_unix

log = structlog.get_logger()

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
    if any(address.port == 0 for address in config.server.listen):
        raise GatewayError("server.listen: --workers share one port; expected a port other than 0")
    for address in config.server.listen:
        if not address.is_unix:
            check_free(address)


def check_free(address: Address) -> None:
    """Raise GatewayError if the port is taken. Workers would not notice: SO_REUSEPORT lets them share it."""
    for listening in open_ports(address):
        listening.close()


class Workers:
    """Worker processes, which run `command` with `--worker N --workers COUNT`. A worker that ends is started again.

    They inherit `descriptors`, which are listening Unix sockets: unlike ports, these can't be opened by several.

    Their standard input is a pipe from this process. It closes however this process ends, and then they stop.
    """

    def __init__(self, command: Sequence[str], count: int, descriptors: Sequence[int] = ()) -> None:
        self._command = command
        self._count = count
        self._descriptors = descriptors
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
                *self._command,
                *(f"--socket={descriptor}" for descriptor in self._descriptors),
                f"--worker={number}",
                f"--workers={self._count}",
                stdin=asyncio.subprocess.PIPE,
                pass_fds=self._descriptors,
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
    with contextlib.ExitStack() as stack:
        addresses = [address for address in config.server.listen if address.is_unix]
        sockets = [open_unix(address, config.server.socket_mode, stack.callback) for address in addresses]
        for each in sockets:
            stack.callback(each.close)
        code = asyncio.run(Workers(command, count, [each.fileno() for each in sockets]).run())
    if code:
        sys.exit(min(code, 1))
