"""Disturbs an attempt: cancels it at a chosen await, or fast-forwards its time limits."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")

MIN_REAL_WAIT = 0.05
"""Real time (s) that a fast-forwarded wait still takes, so that pending I/O is noticed before the rest is skipped."""


class CancelAtAwait(Awaitable[T]):
    """Awaits `work` and cancels its task at the `at`-th suspension, counted from 1.

    The task is cancelled when the awaited operation begins, or if `late`, when it has ended and its result is ready.
    `reached` is True after such a suspension.
    """

    def __init__(self, work: Coroutine[Any, Any, T], at: int, late: bool) -> None:
        self.reached = False
        self._work = work
        self._at = at
        self._late = late

    def __await__(self) -> Generator[Any, Any, T]:
        task = asyncio.current_task()
        assert task is not None
        count = 0
        step = self._work.send
        value: Any = None
        while True:
            try:
                awaited = step(value)
            except StopIteration as stop:
                result: T = stop.value
                return result
            count += 1
            if count == self._at:
                self.reached = True
                if self._late and awaited is not None:
                    # Added before the task's own callback, so that the task is cancelled when it wakes up.
                    awaited.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            try:
                value, step = (yield awaited), self._work.send
            except BaseException as error:
                value, step = error, self._work.throw


class FastForwardSelector(selectors.DefaultSelector):
    """Ends waits early while `fast_forward` is set and no I/O happens. `skipped` counts the seconds left out.

    `longest_block` is the longest time (s) between two waits, in which the loop ran code and nothing else could run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fast_forward = False
        self.skipped = 0.0
        self.longest_block = 0.0
        self._woke_at: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._woke_at is not None:
            self.longest_block = max(self.longest_block, time.monotonic() - self._woke_at)
        found = self._select(timeout)
        self._woke_at = time.monotonic()
        return found

    def _select(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self.fast_forward or timeout is None or timeout <= MIN_REAL_WAIT:
            return super().select(timeout)
        found = super().select(MIN_REAL_WAIT)
        if not found:
            self.skipped += timeout - MIN_REAL_WAIT
        return found


class FastForwardLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock skips waits while `fast_forward` is set."""

    def __init__(self) -> None:
        self._waits = FastForwardSelector()
        super().__init__(self._waits)

    def time(self) -> float:
        return super().time() + self._waits.skipped

    async def take_longest_block(self) -> float:
        """Return the longest block since the last call, in seconds."""
        await asyncio.sleep(0)  # the present step counts, too
        longest, self._waits.longest_block = self._waits.longest_block, 0.0
        return longest

    @property
    def fast_forward(self) -> bool:
        return self._waits.fast_forward

    @fast_forward.setter
    def fast_forward(self, on: bool) -> None:
        self._waits.fast_forward = on
