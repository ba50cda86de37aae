"""Lays out tables for terminals of any width. An id, a type, a date or a time is never broken or cut."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence

import click
from rich.cells import cell_len

GAP = 2
"""Blanks between two columns."""
INDENT = 4
"""Blanks before the columns that did not fit, which stand below each row."""
ROOM_FOR_PROSE = 32
"""The least width in which the last column's sentences are wrapped beside the others, and not below them."""
NOTHING = "-"
TIME = re.compile(r"(?<=\d{4}-\d\d-\d\d) (\d\d:\d\d(?::\d\d)?)(?: (UTC))?")
GLUE = "\0"
"""Stands for a blank at which no line may break. A cell can't contain it, as control characters are escaped."""

Row = Sequence[str]


def print_rows(names: Sequence[str], rows: Sequence[Row]) -> None:
    """Print a table as wide as the terminal. Output that goes elsewhere has a line for each row."""
    header, *lines = lay_out(names, rows, terminal_width())
    click.secho(header, bold=True)
    for line in lines:
        click.echo(line)


def print_text(text: str) -> None:
    """Print a sentence, wrapped to the terminal's width."""
    width = terminal_width()
    for line in [text] if width is None else wrap(text, width):
        click.echo(line)


def terminal_width() -> int | None:
    """Return the columns of the terminal, or of $COLUMNS; None if the output goes to a file or a pipe."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError, AttributeError):
        return None


def lay_out(names: Sequence[str], rows: Sequence[Row], width: int | None) -> list[str]:
    """Return the lines of a table, of which the first is the header.

    Columns without any value are left out. Columns that do not fit stand below each row, with their names.
    """
    names, rows = without_empty_columns(names, rows)
    widths = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]
    fitting = count_fitting(widths, width)
    if fitting == len(names):
        return [join(row, widths) for row in (names, *rows)]
    assert width is not None
    room = width - sum(size + GAP for size in widths[:-1])
    if fitting == len(names) - 1 and room >= ROOM_FOR_PROSE and all(fits(row[-1], room) for row in rows):
        return [join(names, widths), *(line for row in rows for line in beside(row, widths, room))]
    return [
        join(names[:fitting], widths),
        *(line for row in rows for line in below(names, row, widths, fitting, width)),
    ]


def without_empty_columns(names: Sequence[str], rows: Sequence[Row]) -> tuple[Sequence[str], Sequence[Row]]:
    kept = [index for index in range(len(names)) if index == 0 or any(row[index] != NOTHING for row in rows)]
    return [names[index] for index in kept], [[row[index] for index in kept] for row in rows]


def count_fitting(widths: Sequence[int], width: int | None) -> int:
    """Return the number of columns, from the left, that fit into one line; at least one."""
    used, count = widths[0], 1
    while count < len(widths) and (width is None or used + GAP + widths[count] <= width):
        used, count = used + GAP + widths[count], count + 1
    return count


def join(cells: Iterable[str], widths: Sequence[int]) -> str:
    """Return cells side by side, each filled up to its column's width."""
    padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=False))
    return (" " * GAP).join(padded).rstrip()


def beside(row: Row, widths: Sequence[int], room: int) -> Iterator[str]:
    """Yield a row whose last cell is wrapped at blanks."""
    first, *others = wrap(row[-1], room)
    yield join([*row[:-1], first], [*widths[:-1], room])
    yield from (" " * sum(size + GAP for size in widths[:-1]) + line for line in others)


def below(names: Sequence[str], row: Row, widths: Sequence[int], fitting: int, width: int) -> Iterator[str]:
    """Yield a row's first cells, then the others with their names on lines of their own."""
    yield join(row[:fitting], widths)
    pairs = zip(names[fitting:], row[fitting:], strict=True)
    parts = [f"{name}: {cell}" for name, cell in pairs if cell != NOTHING]
    yield from (" " * INDENT + line for line in pack(parts, width - INDENT))


def pack(parts: Iterable[str], room: int) -> Iterator[str]:
    """Yield lines with as many parts as fit. Only a part that is longer than a line is wrapped."""
    line = ""
    for part in parts:
        together = f"{line}{' ' * GAP}{part}" if line else part
        if cell_len(together) <= room:
            line = together
            continue
        if line:
            yield line
        *full, line = wrap(part, room)
        yield from full
    if line:
        yield line


def wrap(text: str, room: int) -> list[str]:
    """Break a text at blanks, but neither within a word nor between a date and its time."""
    glued = TIME.sub(lambda time: GLUE + GLUE.join(filter(None, time.groups())), text)
    lines = textwrap.wrap(glued, max(1, room), break_long_words=False, break_on_hyphens=False)
    return [line.replace(GLUE, " ") for line in lines] or [""]


def fits(text: str, room: int) -> bool:
    """Return True if no word of the text is longer than the room."""
    return all(cell_len(line) <= room for line in wrap(text, room))
