"""Ways to disturb an attempt: cancel it at a chosen await, and have its time-outs pass at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")

REAL = 0.05
"""Seconds that a hurried loop waits for something to happen before it takes a longer wait for over."""


class Cancelling(Awaitable[T]):
    """Awaits `work`, and cancels the task it runs in at the `at`-th suspension (from 1).

    At once, when whatever is awaited has only been begun; or, `late`, when it has come to its end and its result
    is about to be had. `reached` says whether there was such a suspension.
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
                    # Before the task's own callback, so that it finds itself cancelled when it wakes.
                    awaited.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            try:
                value, step = (yield awaited), self._work.send
            except BaseException as error:
                value, step = error, self._work.throw


class HurriedSelector(selectors.DefaultSelector):
    """Once hurried, a wait in which nothing happens for a moment is over. `skipped` are the seconds left out."""

    def __init__(self) -> None:
        super().__init__()
        self.hurried = False
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self.hurried or timeout is None or timeout <= REAL:
            return super().select(timeout)
        found = super().select(REAL)
        if not found:
            self.skipped += timeout - REAL
        return found


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock leaps over waits while `hurried`."""

    def __init__(self) -> None:
        self._hurry = HurriedSelector()
        super().__init__(self._hurry)

    def time(self) -> float:
        return super().time() + self._hurry.skipped

    @property
    def hurried(self) -> bool:
        return self._hurry.hurried

    @hurried.setter
    def hurried(self, on: bool) -> None:
        self._hurry.hurried = on
