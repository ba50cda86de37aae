"""The example sinks of plugins/README.md, taken from the page."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "plugins" / "README.md"


def block(language: str, containing: str) -> str:
    """Return the page's only code block of that language that contains this text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (found,) = (text for text in blocks if containing in text)
    return found


def write_rows_plugin(folder: Path) -> None:
    """Write the sink whose target does not speak HTTP, and its test."""
    folder.mkdir(parents=True)
    (folder / "cloudsignal_rows.py").write_text(block("python", "class RowsSink"))
    (folder / "test_rows.py").write_text(block("python", "class TestRows"))


def write_plugin(folder: Path) -> None:
    """Write the package as its author would: module, packaging and test."""
    folder.mkdir(parents=True)
    (folder / "cloudsignal_desk.py").write_text(block("python", "class DeskSink"))
    (folder / "test_desk.py").write_text(block("python", "class TestDesk"))
    (folder / "pyproject.toml").write_text(block("toml", "entry-points"))
