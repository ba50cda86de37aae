"""Lists the installed sinks and those that the configuration enables, and makes the page of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import voluptuous as vol

from gateway.config import load_enabled
from gateway.config.setting_values import did_you_mean
from gateway.errors import GatewayError
from gateway.json_schema import convert
from gateway.sink import Secret, Sink
from gateway.sink.registry import Plugin, describe_plugin, installed_plugins, load_plugin


@dataclass(frozen=True, slots=True)
class PluginRow:
    """An installed plugin. `about` is its summary, or the reason why it could not be loaded."""

    name: str
    state: Literal["broken", "enabled", "installed"]
    source: str
    about: str


def list_plugins(config_path: Path | None) -> list[PluginRow]:
    """Return the installed plugins by name. Only those that the configuration enables are imported.

    Raises ConfigError if the file can't be read.
    """
    enabled = load_enabled(config_path) if config_path else {}
    return [describe(enabled.get(name) or describe_plugin(entry)) for name, entry in installed_plugins().items()]


def describe(plugin: Plugin) -> PluginRow:
    source = f"{plugin.distribution} {plugin.version}"
    if plugin.error:
        return PluginRow(plugin.name, "broken", source, plugin.error)
    if plugin.sink:
        return PluginRow(plugin.name, "enabled", source, plugin.sink.summary)
    return PluginRow(plugin.name, "installed", source, "")


# -- the page of a plugin


@dataclass(frozen=True, slots=True)
class OptionRow:
    """An option of a sink. `default` is written as in YAML; "required", or "" if it may be left out."""

    name: str
    default: str
    meaning: str
    form: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PluginPage:
    """A sink for those who configure a route: what it does, its options, the signals by default, a sample route."""

    name: str
    source: str
    summary: str
    signals: tuple[str, ...]
    order: str
    concurrency: int
    options: tuple[OptionRow, ...]
    sample: str


def make_page(name: str) -> PluginPage:
    """Return the page of an installed plugin, which is imported. Raises GatewayError if that fails."""
    entries = installed_plugins()
    if name not in entries:
        raise GatewayError(f"no plugin {name!r} is installed{did_you_mean(name, list(entries))}")
    plugin = load_plugin(entries[name])
    if plugin.sink is None:
        raise GatewayError(f"the plugin {name} could not be loaded: {plugin.error}")
    sink = plugin.sink
    return PluginPage(
        name,
        f"{plugin.distribution} {plugin.version}",
        sink.summary,
        tuple(sorted(sink.signals)),
        sink.order,
        sink.concurrency,
        list_options(sink.options),
        write_sample(sink),
    )


def list_options(options: Mapping[Any, Any]) -> tuple[OptionRow, ...]:
    """Return the options of a voluptuous schema, as the table in a plugin's README has them."""
    return tuple(
        OptionRow(
            str(key),
            describe_default(key),
            str(getattr(key, "description", None) or ""),
            convert(check),
        )
        for key, check in options.items()
        if isinstance(key, (str, vol.Marker))
    )


def describe_default(key: Any) -> str:
    """Return the default of an option as it is written in YAML."""
    if isinstance(key, vol.Required):
        return "required"
    if isinstance(getattr(key, "default", vol.UNDEFINED), vol.Undefined):
        return ""
    default = key.default()
    if isinstance(default, bool):
        return str(default).lower()
    return f"[{', '.join(default)}]" if isinstance(default, (list, tuple)) else str(default)


def write_sample(sink: type[Sink]) -> str:
    """Return a sample route in YAML, as it stands below `routes:`."""
    options = sink.sample or {
        str(key): sample_of(str(key), check) for key, check in sink.options.items() if isinstance(key, vol.Required)
    }
    lines = [f"{sink.name}:", f"  sink: {sink.name}", *(["  options:"] if options else [])]
    return "\n".join([*lines, *(f"    {name}: {value}" for name, value in options.items())])


def sample_of(name: str, check: Any) -> str:
    """Return a value of a required option."""
    if isinstance(check, Secret):
        return f"!file secrets/{name.replace('_', '-')}"
    return str(next(iter(convert(check).get("examples", [])), "\u2026"))
