"""Reads a sink's README, so that tests can compare it with the sink."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.operate.plugins import list_options

PLUGINS = Path(__file__).parents[2] / "plugins"


def read_page(name: str) -> str:
    """Return the README of a sink's plugin."""
    return (PLUGINS / f"cloudsignal_{name}" / "README.md").read_text()


def option_table(options: Mapping[Any, Any]) -> str:
    """Return the table of a sink's options as its README must have it, from a schema of `options_of`."""
    lines = ["| option | default | |", "|---|---|---|"]
    for row in list_options(options):
        default = row.default if row.default in ("", "required") else f"`{row.default}`"
        cells = [f"`{row.name}`", default, row.meaning]
        lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|")
    return "\n".join(lines)
