"""Finds sinks by entry point. Only enabled plugins are imported, and a broken one does not affect the others."""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import voluptuous as vol

from gateway.errors import PluginError
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
    known = describe_plugin(entry)
    try:
        sink = entry.load()
        check_sink_class(entry.name, sink)
    except (Exception, SystemExit) as error:  # a plugin's module may raise anything at import
        return Plugin(known.name, known.distribution, known.version, None, f"{type(error).__name__}: {error}")
    return Plugin(known.name, known.distribution, known.version, sink)


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
    try:
        sink.schema()
    except (vol.SchemaError, TypeError, ValueError) as error:
        raise PluginError(f"the options are not a schema: {error}") from error
