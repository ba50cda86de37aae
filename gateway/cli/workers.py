"""serve --workers: gateways side by side on one port, each a process, kept running by this one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence

import structlog

from gateway.config import Config
from gateway.errors import GatewayError

log = structlog.get_logger()

AGAIN_AFTER = 1.0
"""Seconds before a worker that ended is started again."""
START = 10.0
"""Seconds within which a worker that ends with an error could not start: then it is for a person to mend."""


def check_workers(config: Config) -> None:
    """GatewayError where several processes can't serve this configuration."""
    if config.store.url.startswith("sqlite"):
        raise GatewayError(
            "--workers needs PostgreSQL as the store: one process alone serves from a SQLite file. Set store.url to "
            "postgresql://user@host/database (cloudsignal move copies what there is), or leave --workers out"
        )
    if config.server.listen[1] == 0:
        raise GatewayError("server.listen: --workers share one port; expected it to be named, and not 0")
    check_free(*config.server.listen)


def check_free(host: str, port: int) -> None:
    """GatewayError where the port is taken. Workers would not notice: they share it with whoever lets them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise GatewayError(f"can't listen on {host}:{port}: {error.strerror or error}") from error


class Workers:
    """Processes that run `command` with `--worker N`; one that ends is started again. Their standard input is a pipe
    from here: when it closes, however this process ended, they stop."""

    def __init__(self, command: Sequence[str], count: int) -> None:
        self._command = command
        self._count = count
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._at_a_terminal = os.isatty(0)

    async def run(self) -> int:
        """Until SIGTERM or SIGINT, which are passed on, as SIGHUP is; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        log.info("workers.starting", workers=self._count)
        codes = await asyncio.gather(*(self._keep(number) for number in range(self._count)))
        log.info("workers.stopped")
        return max(codes)

    async def _keep(self, number: int) -> int:
        while True:
            started = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                *self._command, "--worker", str(number), stdin=asyncio.subprocess.PIPE
            )
            self._running[number] = process
            if self._stopping.is_set():  # asked while it was being made
                self._pass_on(signal.SIGTERM)
            code = await process.wait()
            del self._running[number]
            if self._stopping.is_set():
                return abs(code)
            log.error("worker.ended", worker=number, code=code)
            if code > 0 and time.monotonic() - started < START:
                self._stop()
                return code
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), AGAIN_AFTER)
            if self._stopping.is_set():
                return 0

    def _stop(self) -> None:
        self._stopping.set()
        self._pass_on(signal.SIGTERM)

    def _hang_up(self) -> None:
        """Reload; but stop where the terminal was closed, as a gateway alone does too."""
        if self._at_a_terminal and not os.isatty(0):
            self._stop()
        else:
            self._pass_on(signal.SIGHUP)

    def _pass_on(self, number: signal.Signals) -> None:
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)


def serve_with_workers(config: Config, count: int) -> None:
    """Run workers until told to stop; exits with 1 where they could not start."""
    check_workers(config)
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(config.path)]
    if code := asyncio.run(Workers(command, count).run()):
        sys.exit(min(code, 1))
