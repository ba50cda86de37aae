"""Reads routes with their sinks and options, and merges an account's routes with its tenant's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import voluptuous as vol

from gateway.config.document import BROKEN, Document, Place, leaves
from gateway.config.schema import ROUTE_SCHEMA
from gateway.config.setting_values import NAME, NAME_EXPECTED, did_you_mean
from gateway.config.validation import validate
from gateway.model import Retry, Route, SecretValue
from gateway.sink import Sink, registry
from gateway.sink.registry import UnloadedSink, make_stand_in


@dataclass(frozen=True, slots=True)
class Plugins:
    """The plugins that a config enables, the names of all installed ones, and the names that the config enables."""

    loaded: Mapping[str, registry.Plugin]
    installed: tuple[str, ...]
    enabled: tuple[str, ...] = ()


Routes = dict[str, Route | None]
"""Routes by name. None replaces a route whose errors were reported."""


def named(document: Document, value: Any, place: Place) -> Iterator[tuple[str, Any, Place]]:
    """Yield (name, value, place) for each entry of a mapping. Invalid names are reported and left out."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        if NAME.fullmatch(name):
            yield name, inner, (*place, name)
        else:
            document.report((*place, name), NAME_EXPECTED)


def read_routes(document: Document, value: Any, place: Place, plugins: Plugins) -> Routes:
    """Read routes that are not assigned to an account yet."""
    return {name: read_route(document, raw, at, plugins) for name, raw, at in named(document, value, place)}


def merge_routes(document: Document, value: Any, place: Place, plugins: Plugins, defaults: Routes) -> Routes:
    """Return an account's routes: the tenant's, of which the account may replace or switch off each as a whole."""
    merged = dict(defaults)
    for name, raw, at in named(document, value, place):
        if not is_switch_off(raw):
            merged[name] = read_route(document, raw, at, plugins)
        elif name in defaults:
            default = defaults[name]
            merged[name] = default and replace(default, enabled=False)
        else:
            hint = did_you_mean(name, list(defaults))
            document.report(at, f"the tenant has no route of this name to switch off{hint}")
    return merged


def is_switch_off(raw: Any) -> bool:
    return isinstance(raw, dict) and set(raw) == {"enabled"} and raw["enabled"] in (False, "false")


def read_route(document: Document, raw: Any, place: Place, plugins: Plugins) -> Route | None:
    before = len(document.problems)
    spec = validate(document, ROUTE_SCHEMA, raw, place)
    if isinstance(raw, dict) and len(raw) == 1 and len(document.problems) > before + 1:
        # A route with one entry was meant to switch off the tenant's: that its sink is missing would mislead.
        document.problems[before:] = [p for p in document.problems[before:] if not p.path.endswith(".sink")]
    sink = find_sink(document, raw, place, plugins) if isinstance(raw, dict) else None
    if spec is None or sink is None:
        return None
    unloaded = issubclass(sink, UnloadedSink)  # then nothing is known of its options
    into = replace(document, problems=[]) if document.partial else document
    options = {} if unloaded else read_options(into, sink, raw.get("options"), (*place, "options"))
    if options is None and document.partial:
        options = {}
    if options is None:
        return None
    return Route(
        account="",
        tenant="",
        name=str(place[-1]),
        sink=spec["sink"],
        signals=frozenset(spec.get("signals", sink.signals)),
        options=MappingProxyType(options),
        enabled=spec["enabled"],
        concurrency=spec.get("concurrency", sink.concurrency),
        rate=spec.get("rate"),
        retry=Retry(**spec["retry"]),
        order=spec.get("order", sink.order),
        broken=sink.reason if issubclass(sink, UnloadedSink) else "",
    )


def find_sink(document: Document, raw: dict[str, Any], place: Place, plugins: Plugins) -> type[Sink] | None:
    """Return the class of a route's sink, or a stand-in if its plugin can't be loaded.

    Values that are not names are left to the route's schema.
    """
    name = raw.get("sink", BROKEN)
    if not isinstance(name, str) or not name.strip():
        return None
    plugin = plugins.loaded.get(name)
    if plugin and plugin.sink:
        return plugin.sink
    if plugin:
        message = f"the plugin {name} could not be loaded: {plugin.error}"
    elif name in plugins.installed:
        message = f"not enabled: add {name!r} to plugins"
    else:
        message = f"no plugin of this name is installed{did_you_mean(name, plugins.installed)}"
    if name in plugins.enabled:
        document.report_plugin((*place, "sink"), message)
        return make_stand_in(message)
    document.report((*place, "sink"), message)
    return None


def read_options(document: Document, sink: type[Sink], raw: Any, place: Place) -> dict[str, Any] | None:
    """Return the options as the sink's schema converts them, or None after errors."""
    if not isinstance(raw, dict | None):
        return None  # the route's schema has reported it
    try:
        schema = schema_of(sink)
    except (Exception, SystemExit) as error:
        document.report(place, f"the schema of these options failed: {type(error).__name__}")
        return None
    options: dict[str, Any] | None = validate(document, schema, raw or {}, place, foreign=True)
    return options


_schemas: WeakKeyDictionary[type[Sink], vol.Schema] = WeakKeyDictionary()


def schema_of(sink: type[Sink]) -> vol.Schema:
    """Return the schema of a sink's options. It is made once, which takes four times as long as using it."""
    if sink not in _schemas:
        _schemas[sink] = sink.schema()
    return _schemas[sink]


def secrets_of(route: Route) -> Iterator[str]:
    """Yield the texts of a route's Secret() options."""
    yield from (leaf.reveal() for leaf in leaves(route.options) if isinstance(leaf, SecretValue))
