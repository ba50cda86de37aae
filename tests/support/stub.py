"""The conformance kit's scripted HTTP server, the base of the fakes here, and additions that only they need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tornado import web

from gateway.testing.stub import Answer, Fault, Request, Stub

__all__ = ["LOST", "Answer", "Fault", "InterruptibleStub", "Request", "Stub", "run_until_interrupted"]

LOST = Answer(299)
"""Stands for an answer that is lost on its way, after the work has been done."""


class InterruptibleStub(Stub):
    """A stub that can break the connection at a chosen request, before or after its work."""

    def cut_at(self, call: int, after: bool = False) -> None:
        """Cut the connection at the call-th request from now (from 0), before its work or after it."""
        self.faults.extend([self.serve] * call)
        self.faults.append(self.lose if after else Fault.CLOSE)

    async def serve(self, request: Request) -> Answer:
        """Answer as usual; a test lines this up to let a request pass."""
        return self.answer(request)

    async def lose(self, request: Request) -> Answer:
        """Do the work and lose the answer."""
        self.answer(request)
        return LOST

    def _write(self, handler: web.RequestHandler, answer: Answer) -> None:
        if answer is LOST:
            self._cut(handler, half=True)
        else:
            super()._write(handler, answer)


def run_until_interrupted(start: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a fake by hand: start it, and let it serve until Ctrl-C."""

    async def serve() -> None:
        await start()
        await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        print()
