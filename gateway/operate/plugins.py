"""Lists the installed sinks, and which of them the configuration enables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.config import load_enabled
from gateway.sink.registry import Plugin, describe_plugin, installed_plugins


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
