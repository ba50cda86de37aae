"""Watches the event loop from a thread, and names the sink that blocks it: all senders wait meanwhile."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

import structlog

from gateway.metrics import Observer
from gateway.model import Route

log = structlog.get_logger()

THRESHOLD = 0.1
"""Seconds from which a block counts. Code that awaits only runs for a few milliseconds between two awaits."""
ASK_EVERY = 0.075
"""Seconds from an answer of the loop to the next request. Asking ten times a second costs about 0.3 % of a core. A
block of 0.2 s or more is always found."""
LOOK_EVERY = 0.025
"""Seconds between looks while the loop has not answered."""
LATE_LOOK = 0.05
"""Seconds by which a look may be late. Beyond, it says nothing if the loop's thread did not use the CPU either: the
computer was busy with something else."""
TOLD_AT_ONCE = 1.0
"""Seconds after which a block is told while it lasts: it may never end."""
TOLD_AGAIN = 60.0
"""Seconds between two lines for one route, so that a sink that blocks at each delivery does not fill the log."""
UNREADY_FOR = 1.0
"""Seconds after a long block in which the gateway is not ready. A health check that waited for its end is told, and
the next one finds the gateway ready: it works again."""

Tasks = MutableMapping["asyncio.Task[Any]", Route]
"""The calls of sinks that run, with their routes."""


@dataclass(slots=True)
class Suspect:
    """Code that runs while the loop does not answer: its task, its route or at least its sink, and its place."""

    task: asyncio.Task[Any] | None
    sink: str
    account: str = ""
    route: str = ""
    place: str = ""
    looks: int = 1
    told: bool = False

    def context(self) -> dict[str, str]:
        named = {"account": self.account, "route": self.route, "sink": self.sink, "place": self.place}
        return {name: value for name, value in named.items() if value}


class LoopWatch:
    """Measures from `start` to `stop` how soon the loop answers, and looks at the code that keeps it from answering.

    `tasks` are the running calls of sinks. `packages` maps top-level packages of plugins to the names of their sinks,
    for code that runs in a plugin's own tasks and callbacks.
    """

    def __init__(
        self,
        tasks: Tasks,
        packages: Callable[[], Mapping[str, str]],
        observer: Observer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tasks = tasks
        self._packages = packages
        self._observer = observer
        self._clock = clock
        self._stopping = threading.Event()
        self._answered = threading.Event()
        self._asking = False
        self._asked_at = 0.0
        self._suspect: Suspect | None = None
        self._told_at: dict[tuple[str, str, str], float] = {}
        self._last_long_block = (float("-inf"), 0.0, "")
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch the running loop, which must run in the calling thread."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._thread = threading.Thread(target=self._run, name="loop-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()

    def trouble(self) -> str:
        """Return the reason why the gateway is not ready after a long block, "" if there was none just now."""
        ended, seconds, sink = self._last_long_block
        if self._clock() - ended > UNREADY_FOR:
            return ""
        return f"the sink {sink} has just blocked the gateway for {seconds:.1f} s"

    # -- on the thread

    def _run(self) -> None:
        cpu, began = self._cpu_time(), self._clock()
        while not self._stopping.wait(wait := LOOK_EVERY if self._asking else ASK_EVERY):
            used, now = self._cpu_time(), self._clock()
            stalled = now - began > wait + LATE_LOOK and used - cpu < (now - began) / 2
            cpu, began = used, now
            try:
                self._look(now, stalled)
            except RuntimeError:  # the loop is closed
                return

    def _look(self, now: float, stalled: bool) -> None:
        """Ask the loop to answer; if it has not, note the code that runs."""
        if not self._asking:
            self._asking, self._asked_at = True, now
            self._answered.clear()
            self._loop.call_soon_threadsafe(self._answer)
            return
        if self._answered.is_set():
            self._asking, self._suspect = False, None
            return
        if stalled:
            self._suspect, self._asked_at = None, now
            return
        task = asyncio.current_task(self._loop)
        known = self._suspect
        if known is None or known.task is not task:
            self._suspect = self._find(task)
            return
        known.looks += 1
        if now - self._asked_at >= TOLD_AT_ONCE and not known.told:
            known.told = True
            log.error("sink.blocked", **known.context(), seconds=round(now - self._asked_at, 1), still=True)

    def _find(self, task: asyncio.Task[Any] | None) -> Suspect | None:
        """Return the sink whose code runs now, None if it is the gateway's own."""
        packages = self._packages()
        frame = find_frame(sys._current_frames().get(self._loop_thread), packages)
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""
        route = self._tasks.get(task) if task is not None else None
        if route is not None:
            return Suspect(task, route.sink, route.account, route.name, place)
        return Suspect(task, packages[package_of(frame)], place=place) if frame else None

    def _cpu_time(self) -> float:
        """Return the CPU time of the loop's thread."""
        try:
            return time.clock_gettime(time.pthread_getcpuclockid(self._loop_thread))
        except (AttributeError, OSError):  # not on every system
            return 0.0

    # -- on the loop

    def _answer(self) -> None:
        suspect, seconds = self._suspect, self._clock() - self._asked_at
        if suspect is not None and suspect.looks > 1 and seconds >= THRESHOLD:
            self._tell(suspect, seconds)
        self._observer.loop_lagged(seconds)
        self._answered.set()

    def _tell(self, suspect: Suspect, seconds: float) -> None:
        now = self._clock()
        if seconds >= TOLD_AT_ONCE:
            self._last_long_block = now, seconds, suspect.sink
        self._observer.sink_blocked(suspect.account, suspect.route, suspect.sink, seconds)
        key = suspect.account, suspect.route, suspect.sink
        if suspect.told or now - self._told_at.get(key, float("-inf")) >= TOLD_AGAIN:
            self._told_at[key] = now
            log.error("sink.blocked", **suspect.context(), seconds=round(seconds, 3))


def find_frame(frame: FrameType | None, packages: Mapping[str, str]) -> FrameType | None:
    """Return the innermost frame of a plugin's code."""
    while frame is not None and package_of(frame) not in packages:
        frame = frame.f_back
    return frame


def package_of(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]
