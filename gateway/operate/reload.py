"""Asks a running gateway to reload its configuration, and waits for its answer."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.store import serving_process
from gateway.store.contract import Records

POLL_EVERY = 0.1
"""Seconds between two looks for the gateway's answer in the store; a reload takes about as long."""


def find_process(config: Config) -> int:
    """Return the process id of the gateway that uses the config's store. Raises GatewayError if it finds none."""
    if process := serving_process(config.store):
        return process
    if config.store.url.startswith("sqlite"):
        raise GatewayError(f"no gateway is running on {config.store.url}: `cloudsignal serve` starts one")
    raise GatewayError("name the gateway's process with --pid, or send it SIGHUP")


async def request_reload(store: Records, process: int, timeout: float) -> None:
    """Send SIGHUP to a gateway and wait until it has recorded the result.

    Raises GatewayError with the problems if the gateway refused the configuration, or if it did not answer in time.
    """
    last = max((action.id for action in await store.list_actions("reload", 1)), default=0)
    try:
        os.kill(process, signal.SIGHUP)
    except OSError as error:
        raise GatewayError(f"can't reach the gateway's process {process}: {error.strerror}") from error
    trouble = await wait_for_answer(store, process, last, timeout)
    if trouble:
        raise GatewayError(f"the gateway goes on with its last configuration:\n{trouble}")


async def wait_for_answer(store: Records, process: int, after: int, timeout: float) -> str:
    """Return the problems that a process recorded for a reload, "" for a success."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for action in await store.list_actions("reload", 10):
            if action.id > after and action.detail["process"] == process:
                return str(action.detail["trouble"])
        await asyncio.sleep(POLL_EVERY)
    raise GatewayError(f"the gateway has not answered within {timeout:g} s; see its log")
