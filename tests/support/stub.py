"""The conformance kit's scripted HTTP server, the base of the fakes here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.testing.stub import Answer, Fault, Request, Stub

__all__ = ["Answer", "Fault", "Request", "Stub", "run_until_interrupted"]


def run_until_interrupted(start: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a fake by hand: start it, and let it serve until Ctrl-C."""

    async def serve() -> None:
        await start()
        await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        print()
