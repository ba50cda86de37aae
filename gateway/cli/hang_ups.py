"""SIGHUP: it is blocked from the first lines of `serve` until there is a handler."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


def handle_hang_ups(handler: Callable[[], None]) -> None:
    """Call `handler` at each SIGHUP, also for one that came since the process began; see gateway/__main__.py."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
