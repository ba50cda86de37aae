"""Runs a gateway's event loop to its end, although a plugin may exit, swallow a cancellation or block a thread."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click
import structlog

from gateway.errors import GatewayError

log = structlog.get_logger()

END_WITHIN = 1.0
"""Seconds that tasks and threads of plugins get at the end. All signals are on disk by then, and all attempts had the
grace time."""


def run_gateway(
    main: Coroutine[Any, Any, None],
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    drain_log: Callable[[], object] = lambda: None,
) -> None:
    """Run `main` and close the loop. If tasks or threads are left, drain the log and end the process without them."""
    loop = new_loop()
    threads = ThreadPoolExecutor(thread_name_prefix="asyncio")
    loop.set_default_executor(threads)
    failure: BaseException | None = None
    try:
        run_until_done(loop, loop.create_task(main))
    except BaseException as error:  # raised again below, once no thread can hold the process back
        failure = error
    threads.shutdown(wait=False, cancel_futures=True)
    left = [*end_tasks(loop), *end_threads()]
    if left:
        log.error("gateway.abandoned", left=left)
        if isinstance(failure, GatewayError):
            click.echo(str(failure), err=True)
        elif failure:
            traceback.print_exception(failure)
        drain_log()
        os._exit(1 if failure else 0)
    loop.close()
    if failure:
        raise failure


def run_until_done(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    """Run the loop until the task is done. A plugin may stop it, by `loop.stop()` or an exit in a task; run it on."""
    while True:
        try:
            loop.run_until_complete(task)
            return
        except (SystemExit, KeyboardInterrupt) as error:  # Ctrl-C arrives as an event, see `stop_on_signals`
            if task.done():
                raise
            log.error("sink.failed", hook="background", exc_info=error)
        except RuntimeError:
            if task.done() or loop.is_closed():
                raise
            log.error("loop.stopped", reason="a plugin called loop.stop(); the gateway runs the loop on")


def end_tasks(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Cancel the tasks that are left, and return the names of those that do not end."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        ended = loop.create_task(asyncio.wait(tasks, timeout=END_WITHIN))
        run_until_done(loop, ended)
    return [str(task.get_coro()) for task in tasks if not task.done()]


def end_threads() -> list[str]:
    """Wait for the threads that would keep the process alive, and return the names of those that do not end."""
    deadline = time.monotonic() + END_WITHIN
    threads = [t for t in threading.enumerate() if not t.daemon and t is not threading.current_thread()]
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread.name for thread in threads if thread.is_alive()]
