"""Doubles of what sinks deliver to: what the kit turns, and looks at."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NoReturn

from gateway.testing.stub import Answer, Fault, Request, Stub


class DoesNotApply(Exception):
    """This target has no such state, or no such trouble; the test is skipped, with the reason given."""


class Target(ABC):
    """A double of a sink's target. The kit makes one for each test, in a running event loop, and starts it.

    Each method that turns it holds until the next; what a target can't do raises DoesNotApply, with the reason.
    """

    @abstractmethod
    def options(self) -> Mapping[str, Any]:
        """Options of a route to this target, as a config has them. Asked once it is started."""

    @abstractmethod
    def seen(self) -> Sequence[Any]:
        """What the target holds now, an entry each effect, in an order that does not hang on chance.

        It is compared between runs, so it must hold neither ports nor the time of day.
        """

    async def start(self) -> None:  # noqa: B027
        """Get ready."""

    async def stop(self) -> None:  # noqa: B027
        """Let go of everything."""

    @abstractmethod
    async def healthy(self) -> None:
        """Take deliveries, as at first, and still hold what was taken."""

    async def busy(self, after: int | None = None) -> None:
        """Refuse for now; where `after` is given, ask for that many seconds' wait."""
        not_here("it is never busy")

    async def down(self) -> None:
        """Be out of reach."""
        not_here("it is always there")

    async def hanging(self) -> None:
        """Take what comes, and never answer."""
        not_here("it always answers")

    async def reached(self) -> None:  # noqa: B027
        """Return once an attempt waits for an answer that a hanging target does not give."""

    async def rejecting(self) -> None:
        """Refuse each delivery for good, as one that makes no sense to it."""
        not_here("it takes every delivery")

    async def refusing(self) -> None:
        """Refuse the route's credentials, or its right to deliver."""
        not_here("it asks for no credentials")

    async def settle(self) -> None:
        """Return once what was begun before an attempt was cancelled has ended."""
        for _ in range(50):
            await asyncio.sleep(0)


def not_here(reason: str) -> NoReturn:
    raise DoesNotApply(reason)


class HttpTarget(Target):
    """A target on 127.0.0.1 that speaks HTTP. A subclass says in `answer` what it makes of a request, and in `seen`
    what it holds; or it is given a `server` that does. The answers named here may be others in a subclass."""

    overloaded: ClassVar[Answer] = Answer(503)
    pausing: ClassVar[Answer] = Answer(429)
    rejects: ClassVar[Answer] = Answer(422)
    refuses: ClassVar[Answer] = Answer(401)

    def __init__(self, server: Stub | None = None) -> None:
        self.server = server or Front(self)
        self._is_down = False
        self._before = 0

    @property
    def url(self) -> str:
        return self.server.url

    def answer(self, request: Request) -> Answer:
        """The answer while healthy."""
        return Answer()

    def failing(self, status: int, headers: Mapping[str, str] | None = None, body: Any = b"") -> None:
        """Answer each request so, until told otherwise."""
        self.server.always = Answer(status, body, headers or {})

    async def start(self) -> None:
        self.server.start()

    async def stop(self) -> None:
        await self.server.stop()

    async def healthy(self) -> None:
        self.server.always = None
        self.server.release()
        if self._is_down:
            self.server.start(int(self.url.rpartition(":")[2]))
            self._is_down = False

    async def busy(self, after: int | None = None) -> None:
        self.server.always = self.overloaded
        if after is not None:
            self.server.always = replace(self.pausing, headers={"Retry-After": str(after)})

    async def down(self) -> None:
        await self.server.stop()
        self._is_down = True

    async def hanging(self) -> None:
        self.server.always = Fault.HANG
        self._before = len(self.server.requests)

    async def reached(self) -> None:
        while len(self.server.requests) == self._before:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def rejecting(self) -> None:
        self.server.always = self.rejects

    async def refusing(self) -> None:
        self.server.always = self.refuses


class Front(Stub):
    """The server of a target that answers itself."""

    def __init__(self, target: HttpTarget) -> None:
        super().__init__()
        self._target = target

    def answer(self, request: Request) -> Answer:
        return self._target.answer(request)
