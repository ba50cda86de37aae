"""A store that only notes its calls, for tests of its callers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from gateway.model import Signal
from gateway.store.values import Accepted, Refused, Target


class Write(NamedTuple):
    signal: Signal
    targets: tuple[Target, ...]
    unrouted: tuple[str, ...]
    hold: bool


class FakeStore:
    """`error` is raised instead of writing; while `gate` is clear, writes wait. All orders count as unknown."""

    shared = False

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.refused: list[Refused] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def signals(self) -> list[Signal]:
        return [write.signal for write in self.writes]

    async def accept(self, signal: Signal, targets: Sequence[Target], unrouted: Sequence[str], hold: bool) -> Accepted:
        await self._wait()
        known = [other.identity for other in self.signals]
        if signal.identity in known:
            return Accepted(0, duplicate=True)
        self.writes.append(Write(signal, tuple(targets), tuple(unrouted), hold))
        return Accepted(len(self.writes), duplicate=False, held=hold)

    async def quarantine(self, refused: Refused) -> int:
        await self._wait()
        self.refused.append(refused)
        return len(self.refused)

    async def _wait(self) -> None:
        await self.gate.wait()
        if self.error:
            raise self.error

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the store was asked for {name}")
