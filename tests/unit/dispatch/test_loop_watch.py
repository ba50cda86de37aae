"""The watch of the event loop: it names the sink that blocks it, and nobody else.

These tests wait on the real clock, as the watch does: it looks from a thread at a loop that is really blocked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.dispatch.loop_watch import THRESHOLD, LoopWatch, Tasks
from gateway.metrics import Observer
from tests.unit.dispatch.harness import make_route

pytestmark = pytest.mark.gen_test

BLOCK = 0.6
"""Seconds: far above the threshold, as this machine may be busy."""


class Blocks(Observer):
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str, float]] = []
        self.lags: list[float] = []

    def sink_blocked(self, account: str, route: str, sink: str, seconds: float) -> None:
        self.seen.append((account, route, sink, seconds))

    def loop_lagged(self, seconds: float) -> None:
        self.lags.append(seconds)


@contextmanager
def watching(tasks: Tasks, packages: dict[str, str]) -> Iterator[tuple[LoopWatch, Blocks, list[Any]]]:
    blocks = Blocks()
    watch = LoopWatch(tasks, lambda: packages, blocks)
    with capture_logs() as logs:
        watch.start()
        try:
            yield watch, blocks, logs
        finally:
            watch.stop()


def block(seconds: float = BLOCK) -> None:
    time.sleep(seconds)


async def run_as_call(tasks: Tasks, blocks: Blocks, work: Callable[[], None]) -> None:
    """Block the loop in a call of a sink, and wait until the watch has told it, which follows on the loop."""

    async def call() -> None:
        work()

    told = len(blocks.seen)
    task = asyncio.create_task(call())
    tasks[task] = make_route()
    await task
    await until_seen(blocks, told + 1)


async def until_seen(blocks: Blocks, count: int) -> None:
    while len(blocks.seen) < count:
        await asyncio.sleep(0.01)


async def test_a_call_that_blocks_is_named_with_its_route_time_and_place() -> None:
    tasks: Tasks = {}
    with watching(tasks, {"tests": "scripted"}) as (watch, blocks, logs):
        await asyncio.sleep(0.2)
        await run_as_call(tasks, blocks, block)
        ((account, route, sink, seconds),) = blocks.seen
        assert (account, route, sink) == ("shop", "erp", "scripted")
        assert seconds >= THRESHOLD  # less than the block if the watch itself had to wait for the CPU
        assert max(blocks.lags) == seconds
        (line,) = [entry for entry in logs if entry["event"] == "sink.blocked"]
        assert "test_loop_watch.py:" in line["place"]
        assert (line["account"], line["route"], line["log_level"]) == ("shop", "erp", "error")
        assert watch.trouble() == ""


async def test_a_block_in_a_plugins_callback_is_named_by_its_sink() -> None:
    with watching({}, {"tests": "scripted"}) as (_, blocks, logs):
        await asyncio.sleep(0.2)
        asyncio.get_running_loop().call_soon(block)
        await until_seen(blocks, 1)
        assert [found[:3] for found in blocks.seen] == [("", "", "scripted")]
        assert [entry["sink"] for entry in logs if entry["event"] == "sink.blocked"] == ["scripted"]


async def test_a_long_block_is_told_while_it_lasts_and_makes_the_gateway_unready() -> None:
    tasks: Tasks = {}
    with watching(tasks, {}) as (watch, blocks, logs):
        await asyncio.sleep(0.2)
        await run_as_call(tasks, blocks, lambda: block(2.0))
        lines = [entry for entry in logs if entry["event"] == "sink.blocked"]
        assert [line.get("still", False) for line in lines] == [True, False]
        assert lines[1]["seconds"] >= 1
        assert watch.trouble().startswith("the sink scripted has just blocked the gateway for ")


async def test_a_route_is_told_once_a_minute() -> None:
    tasks: Tasks = {}
    with watching(tasks, {}) as (_, blocks, logs):
        await asyncio.sleep(0.2)
        for _ in range(3):
            await run_as_call(tasks, blocks, block)
        assert len(blocks.seen) == 3
        assert len([entry for entry in logs if entry["event"] == "sink.blocked"]) == 1


async def test_calls_that_wait_and_the_gateways_own_code_are_not_named() -> None:
    tasks: Tasks = {}
    with watching(tasks, {"some_plugin": "other"}) as (_, blocks, _logs):
        waiting = asyncio.create_task(asyncio.sleep(1))
        tasks[waiting] = make_route()
        await asyncio.sleep(0.2)
        block()
        await waiting
        assert blocks.seen == []
