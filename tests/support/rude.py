"""A sink that misbehaves as its options say: for tests of plugins that a gateway must survive."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import voluptuous as vol

from gateway.sink import Check, Context, Delivery, Misconfigured, RetryLater, Sink

ENTRY_POINT = "[cloudsignal.sinks]\nrude = tests.support.rude:RudeSink\n"


MENDED = Path("mended")
"""File in the gateway's folder from which on `refuse` and `fail` do no more."""


class RudeError(BaseException):
    """No Exception, so that a plain `except Exception` misses it."""


class RudeSink(Sink):
    """Does something rude in one hook, at each call; else it takes everything."""

    name = "rude"
    summary = "misbehaves"
    timeout = 2.0
    options = {vol.Required("hook"): str, vol.Required("does"): str}

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        super().__init__(options, context)
        self._background: asyncio.Task[None] | None = None
        self._at("init")

    async def open(self) -> None:
        await self._in("open")

    async def deliver(self, delivery: Delivery) -> None:
        await self._in("deliver")

    async def check(self) -> Check:
        await self._in("check")
        return Check(True)

    async def close(self) -> None:
        await self._in("close")

    async def _in(self, hook: str) -> None:
        if self.settings["hook"] == hook:
            match self.settings["does"]:
                case "thread":
                    await asyncio.to_thread(time.sleep, 60)
                case "swallow":
                    await self._swallow()
                case "stop":
                    asyncio.get_running_loop().stop()
                case "background":
                    self._background = asyncio.create_task(self._exit_later())
                case _:
                    self._at(hook)

    async def _swallow(self) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    async def _exit_later(self) -> None:
        await asyncio.sleep(0)
        sys.exit(7)

    def _at(self, hook: str) -> None:
        if self.settings["hook"] != hook:
            return
        match self.settings["does"]:
            case "refuse" if not MENDED.exists():
                raise Misconfigured("answered 404")
            case "fail" if not MENDED.exists():
                raise RetryLater("answered 503")
            case "exit":
                sys.exit(7)
            case "interrupt":
                raise KeyboardInterrupt
            case "generator":
                raise GeneratorExit
            case "base":
                raise RudeError("rude")
            case "cancel":
                raise asyncio.CancelledError
            case "bug":
                raise KeyError("nothing")
            case "surrogate":
                raise RetryLater("no \udc80 text")
            case "block":
                time.sleep(0.5)


def install(folder: Path) -> None:
    """Make the sink known to a process that has `folder` on its path, as an installed package would."""
    info = folder / "rude_for_tests-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rude-for-tests\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINT)
