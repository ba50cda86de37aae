"""Finds sinks by entry point. Only enabled plugins are imported, and a broken one does not affect the others."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import inspect
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, ClassVar, get_args

from gateway.errors import Misconfigured, PluginError
from gateway.model import Ordering
from gateway.sink.api import Sink

ENTRY_POINT_GROUP = "cloudsignal.sinks"


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plugin. It has its class once it is loaded, or the error that prevented this."""

    name: str
    distribution: str
    version: str
    sink: type[Sink] | None = None
    error: str = ""


def installed_plugins() -> dict[str, importlib.metadata.EntryPoint]:
    """Return the entry points by name, without importing them. If two packages use a name, the first one counts."""
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        found.setdefault(entry.name, entry)
    return dict(sorted(found.items()))


def load_plugins(enabled: Iterable[str]) -> Mapping[str, Plugin]:
    """Load the enabled plugins that are installed. A plugin that could not be loaded has its `error`."""
    entries = installed_plugins()
    return {name: load_plugin(entries[name]) for name in enabled if name in entries}


def describe_plugin(entry: importlib.metadata.EntryPoint) -> Plugin:
    """Return a plugin without importing it."""
    dist = entry.dist
    return Plugin(entry.name, dist.name if dist else "?", dist.version if dist else "?")


def load_plugin(entry: importlib.metadata.EntryPoint) -> Plugin:
    """Import a plugin and check its class. If that fails, a later call tries again, as its files may be mended."""
    known = describe_plugin(entry)
    before = set(sys.modules)
    try:
        with watch_interrupts() as interrupted:
            sink = entry.load()
            check_sink_class(entry.name, sink)
    except BaseException as error:  # a plugin's module may raise anything at import
        if interrupted:
            raise
        forget_modules(entry.module, before)
        return Plugin(known.name, known.distribution, known.version, None, describe_failure(error))
    return Plugin(known.name, known.distribution, known.version, sink)


@contextlib.contextmanager
def watch_interrupts() -> Iterator[list[int]]:
    """Give a list that is not empty once a person pressed Ctrl-C: a plugin may raise KeyboardInterrupt, too."""
    noted: list[int] = []
    usual = signal.default_int_handler
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not usual:
        yield noted
        return

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        usual(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, usual)


def forget_modules(module: str, before: set[str]) -> None:
    """Remove the modules of a plugin that were imported since, so that the next import reads its files again."""
    package = module.partition(".")[0]
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == package:
            del sys.modules[name]
    importlib.invalidate_caches()


def describe_failure(error: BaseException) -> str:
    """Return an exception's type, message and place in the plugin's code."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or isinstance(error, (PluginError, ImportError, SyntaxError)):  # they name a place themselves
        return f"{type(error).__name__}: {error}"
    return f"{type(error).__name__}: {error} ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"


class UnloadedSink(Sink):
    """Stands in for a sink whose plugin can't be loaded: its route is misconfigured, and signals wait."""

    name = "unloaded"
    summary = "stands in for a plugin that can't be loaded"
    reason: ClassVar[str] = ""

    async def open(self) -> None:
        raise Misconfigured(self.reason)


def make_stand_in(reason: str) -> type[UnloadedSink]:
    """Return a sink class that refuses all deliveries for this reason."""
    return type("UnloadedSink", (UnloadedSink,), {"reason": reason})


def check_sink_class(name: str, sink: object) -> None:
    """Raise PluginError if the class can't serve as the sink of that name."""
    if not (inspect.isclass(sink) and issubclass(sink, Sink)):
        raise PluginError("the entry point is not a Sink class")
    if getattr(sink, "name", None) != name:
        raise PluginError(f"the class's name is {getattr(sink, 'name', None)!r}, but the entry point's is {name!r}")
    if not getattr(sink, "summary", ""):
        raise PluginError("the class has no summary")
    if sink.deliver is Sink.deliver and sink.deliver_batch is Sink.deliver_batch:
        raise PluginError("the class has neither deliver nor deliver_batch")
    check_attributes(sink)
    try:
        sink.schema()
    except Exception as error:
        raise PluginError(f"the options are not a schema: {error}") from error


def check_attributes(sink: type[Sink]) -> None:
    """Raise PluginError if a class attribute has a value that the gateway can't work with."""
    for name in ("concurrency", "batch"):
        value = getattr(sink, name)
        if type(value) is not int or value < 1:
            raise PluginError(f"{name} is {value!r}; expected a whole number above 0")
    if not isinstance(sink.timeout, (int, float)) or not 0 < sink.timeout < float("inf"):
        raise PluginError(f"timeout is {sink.timeout!r}; expected a number of seconds above 0")
    if sink.order not in get_args(Ordering):
        raise PluginError(f"order is {sink.order!r}; expected one of {', '.join(get_args(Ordering))}")
    signals: Any = sink.signals
    if isinstance(signals, str) or not all(isinstance(name, str) for name in signals):
        raise PluginError(f"signals is {signals!r}; expected a frozenset of signal types")
