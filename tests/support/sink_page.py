"""Reads a sink's README, so that tests can compare it with the sink."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import voluptuous as vol

PLUGINS = Path(__file__).parents[2] / "plugins"


def read_page(name: str) -> str:
    """Return the README of a sink's plugin."""
    return (PLUGINS / f"cloudsignal_{name}" / "README.md").read_text()


def option_table(options: Mapping[Any, Any]) -> str:
    """Return the table of a sink's options as its README must have it, from a schema of `options_of`."""
    lines = ["| option | default | |", "|---|---|---|"]
    for marker in options:
        cells = [f"`{marker}`", describe_default(marker), marker.description]
        lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|")
    return "\n".join(lines)


def describe_default(marker: vol.Marker) -> str:
    """Return the table's second column for an option."""
    if isinstance(marker, vol.Required):
        return "required"
    if isinstance(marker.default, vol.Undefined):
        return ""
    default = marker.default()
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`[{', '.join(default)}]`" if isinstance(default, (list, tuple)) else f"`{default}`"
