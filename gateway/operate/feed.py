"""Events as they happen, for operators who watch: new signals, alerts, and results of deliveries.

Signals and alerts are read from the store, so those of all gateways on it are there. Results are those of this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from gateway.errors import StoreError, TooManyRequests
from gateway.operate import views
from gateway.signal_types import GATEWAY_ALERT
from gateway.store.contract import Store
from gateway.store.values import Filter, Result

LOOK_EVERY = 1.0
"""Seconds between two looks for new signals, while somebody watches."""
SIGNALS_PER_LOOK = 200
"""Signals that one look reads. More come with the next looks."""
KEPT = 2000
"""Events kept for watchers that are slow, or come back after a broken connection."""
IDLE_FOR = 60.0
"""Seconds for which events are still gathered after the last watcher has gone: it may come back."""
MOST_WATCHERS = 32
"""Watchers at a time. Each costs a connection and some time for each event."""
PACE = 0.1
"""Seconds for which events are gathered before a watcher gets them together."""
SILENCE = 15.0
"""Seconds without events after which a watcher is told that the connection still stands."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its place, its kind (signal, alert or result), its account, and its JSON."""

    number: int
    kind: str
    account: str
    data: Mapping[str, Any]


RESET = Event(0, "reset", "", {})
"""Says that events are gone: whoever watches must read the lists again."""


class Feed:
    """Gathers events while somebody watches, and hands them to each watcher."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._next = 1
        self._name = ""
        self._watchers = 0
        self._looks = 0
        self._wanted = asyncio.Event()
        self._changed = asyncio.Event()

    def tell_results(self, results: Sequence[Result]) -> None:
        """Take results that were recorded. Without watchers this costs nothing."""
        if self._name:
            for result in results:
                self._add("result", result.delivery.signal.account, views.result_json(result))

    async def run(self) -> None:
        """Gather new signals while somebody watches, without end. A store that is away is asked again."""
        while True:
            await self._wanted.wait()
            self._name, self._events = uuid.uuid4().hex[:12], deque(maxlen=KEPT)
            reached: int | None = None
            idle = 0.0
            while idle < IDLE_FOR:
                idle = 0.0 if self._watchers else idle + LOOK_EVERY
                with contextlib.suppress(StoreError):
                    reached = await self._look(reached)
                    self._looks += 1
                await asyncio.sleep(LOOK_EVERY)
            self._name = ""
            self._wanted.clear()

    def require_room(self) -> None:
        """Raise TooManyRequests if too many watch already."""
        if self._watchers >= MOST_WATCHERS:
            raise TooManyRequests("Too many watch already.")

    async def watch(self, last: str, sees: Callable[[str], bool]) -> AsyncIterator[tuple[str, Event | None]]:
        """Yield events of accounts that `sees` allows, each with its id; None after a silence.

        `last` is the id of the last event that a watcher had, "" for a new one. An event of the kind "reset" says that
        events since then are gone.
        """
        self._watchers += 1
        self._wanted.set()
        try:
            name, _, number = last.partition("-")
            is_known = name == self._name and number.isdecimal() and int(number) < self._next
            if last and not is_known:
                yield "", RESET
            async for event in self._follow(int(number) if is_known else self._next - 1):
                if event is None or event is RESET:
                    yield "", event
                elif sees(event.account):
                    yield f"{self._name}-{event.number}", event
        finally:
            self._watchers -= 1

    async def _follow(self, reached: int) -> AsyncIterator[Event | None]:
        """Yield the events behind a number, then new ones as they come; None after a silence."""
        while True:
            changed = self._changed
            first = self._events[0].number if self._events else self._next
            if first > reached + 1:
                yield RESET
            for event in list(islice(self._events, max(0, reached + 1 - first), None)):
                reached = event.number
                yield event
            reached = max(reached, first - 1)
            try:
                await asyncio.wait_for(changed.wait(), SILENCE)
            except TimeoutError:
                yield None
            await asyncio.sleep(PACE)

    async def _look(self, reached: int | None) -> int:
        """Add the signals behind an id; none at the first look. Return the last id that was looked at."""
        upto = await self._store.read_followed()
        if reached is None:
            return upto
        signals = await self._store.list_signals_after(Filter(upto=upto), reached, SIGNALS_PER_LOOK)
        for signal in signals:
            kind = "alert" if signal.type == GATEWAY_ALERT else "signal"
            self._add(kind, signal.account, views.told_signal_json(signal))
        return signals[-1].id if len(signals) == SIGNALS_PER_LOOK else max(reached, upto)

    def _add(self, kind: str, account: str, data: Mapping[str, Any]) -> None:
        self._events.append(Event(self._next, kind, account, data))
        self._next += 1
        self._changed.set()
        self._changed = asyncio.Event()
