"""The sink of plugins/README.md, as its page has it."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "plugins" / "README.md"


def block(language: str, containing: str) -> str:
    """The page's one fenced block of that language that has this text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (found,) = (text for text in blocks if containing in text)
    return found


def write_plugin(folder: Path) -> None:
    """The package as its author has it: module, packaging, test."""
    folder.mkdir(parents=True)
    (folder / "cloudsignal_desk.py").write_text(block("python", "class DeskSink"))
    (folder / "test_desk.py").write_text(block("python", "class TestDesk"))
    (folder / "pyproject.toml").write_text(block("toml", "entry-points"))
