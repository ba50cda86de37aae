"""Doubles of sinks' targets. The kit puts them into a state and looks at the effects of deliveries."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NoReturn

from gateway.testing.stub import Answer, Fault, Request, Stub


class DoesNotApply(Exception):
    """The target has no such state. The test is skipped with the reason given."""


class Target(ABC):
    """A double of a sink's target. The kit makes one for each test, in a running event loop, and starts it.

    A method such as `busy` puts it into a state, until the next such method is called. A state that the target can't
    have raises DoesNotApply with the reason.
    """

    @abstractmethod
    def options(self) -> Mapping[str, Any]:
        """Return the options of a route to this target, as in a config. Called after `start`."""

    @abstractmethod
    def effects(self) -> Sequence[Any]:
        """Return the effects of all deliveries, such as rows or messages, in an order that does not vary.

        The kit compares them between runs, so they must contain neither ports nor times of day.
        """

    async def start(self) -> None:  # noqa: B027
        """Start the target."""

    async def stop(self) -> None:  # noqa: B027
        """Stop the target and release its resources."""

    @abstractmethod
    async def healthy(self) -> None:
        """Take deliveries, as at the start. Earlier effects remain."""

    async def busy(self, after: int | None = None) -> None:
        """Refuse for now. If `after` is given, ask for a wait of that many seconds."""
        does_not_apply("it is never busy")

    async def down(self) -> None:
        """Be unreachable."""
        does_not_apply("it is always there")

    async def hanging(self) -> None:
        """Take requests, but never answer."""
        does_not_apply("it always answers")

    async def wait_until_called(self) -> None:  # noqa: B027
        """Return when an attempt waits for an answer of the hanging target."""

    async def rejecting_deliveries(self) -> None:
        """Refuse each delivery for good, as invalid."""
        does_not_apply("it takes every delivery")

    async def refusing_credentials(self) -> None:
        """Refuse the route's credentials or its rights."""
        does_not_apply("it asks for no credentials")

    async def settle(self) -> None:
        """Return when work that a cancelled attempt had begun has ended."""
        for _ in range(50):
            await asyncio.sleep(0)


def does_not_apply(reason: str) -> NoReturn:
    raise DoesNotApply(reason)


class HttpTarget(Target):
    """A target on 127.0.0.1 that speaks HTTP.

    A subclass implements `answer` and `effects`, or is given a `server` that answers. It may replace the answers below.
    """

    busy_answer: ClassVar[Answer] = Answer(503)
    wait_answer: ClassVar[Answer] = Answer(429)
    rejection: ClassVar[Answer] = Answer(422)
    refusal: ClassVar[Answer] = Answer(401)

    def __init__(self, server: Stub | None = None) -> None:
        self.server = server or TargetServer(self)
        self._is_down = False
        self._before = 0

    @property
    def url(self) -> str:
        return self.server.url

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request while healthy."""
        return Answer()

    def failing(self, status: int, headers: Mapping[str, str] | None = None, body: Any = b"") -> None:
        """Give this answer to all requests, until the next state."""
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
        self.server.always = self.busy_answer
        if after is not None:
            self.server.always = replace(self.wait_answer, headers={"Retry-After": str(after)})

    async def down(self) -> None:
        await self.server.stop()
        self._is_down = True

    async def hanging(self) -> None:
        self.server.always = Fault.HANG
        self._before = len(self.server.requests)

    async def wait_until_called(self) -> None:
        while len(self.server.requests) == self._before:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def rejecting_deliveries(self) -> None:
        self.server.always = self.rejection

    async def refusing_credentials(self) -> None:
        self.server.always = self.refusal


class TargetServer(Stub):
    """The server of a target that implements `answer`."""

    def __init__(self, target: HttpTarget) -> None:
        super().__init__()
        self._target = target

    def answer(self, request: Request) -> Answer:
        return self._target.answer(request)
