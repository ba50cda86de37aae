"""The documentation as data: the tables and links of Markdown pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
NO_SPLIT = re.compile(r"(?<!\\)\|")

PATH = re.compile(r"[\w.*-]*[a-z][\w.*-]*(/[\w.*-]+)*/?")


def section(page: str, heading: str) -> str:
    """Return the text under a heading of any level, up to the next heading of that level or above."""
    lines = page.splitlines()
    start = lines.index(heading)
    level = len(heading) - len(heading.lstrip("#"))
    end = next((n for n in range(start + 1, len(lines)) if re.match(rf"#{{1,{level}}} ", lines[n])), len(lines))
    return "\n".join(lines[start + 1 : end])


def rows(text: str, first: str) -> list[list[str]]:
    """Return the rows of the table with this title of the first column, each row as its cells."""
    return list(_rows(text, first))


def _rows(text: str, first: str) -> Iterator[list[str]]:
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
        elif line.startswith(f"| {first} |"):
            inside = True
        elif inside and not line.startswith("|---"):
            yield [cell.strip() for cell in NO_SPLIT.split(line.strip().strip("|"))]


def names(text: str, first: str) -> list[str]:
    """Return the first cell of each row, without its backticks."""
    return [row[0].strip("`") for row in rows(text, first)]


def links(page: str) -> Iterator[str]:
    """Yield the targets of links and pictures that are no URLs."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page):
        if "://" not in target:
            yield target


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def paths(page: str) -> Iterator[str]:
    """Yield the texts in backticks that read as a path: with a slash, or a usual ending."""
    prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    for text in re.findall(r"`([^`\s]+)`", prose):
        if re.fullmatch(r"[\w.*-]*[a-z][\w.*-]*(/[\w.*-]+)*/?", text) and (
            "/" in text or text.endswith((".py", ".md", ".yaml"))
        ):
            yield text
