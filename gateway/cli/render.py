"""How the commands print: tables for people, JSON lines for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.logs import escape


def print_json(rows: Iterable[Any]) -> None:
    """One object a line."""
    for row in rows:
        click.echo(orjson.dumps(row, default=_plain))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def print_table(rows: Sequence[Mapping[str, object]], empty: str) -> None:
    """Columns are the first row's keys; `empty` is said where there are no rows."""
    if not rows:
        click.echo(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in rows[0]:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text, not markup: what the sender wrote must not be read as rich's own tags.
        table.add_row(*(Text(show(value)) for value in row.values()))
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=240)
    console.print(table)


def show(value: object) -> str:
    """A value for people; what would tell the terminal what to do is escaped."""
    return "-" if value is None or value == "" else escape(str(value))


def count(number: int, what: str) -> str:
    """1 route, 2 routes"""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def moment(seconds: float | None) -> str:
    """A time as people read it, UTC, to the second."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def age(seconds: float) -> str:
    """A span of time as people read it, in its largest unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def iso(seconds: float | None) -> str | None:
    """A time as programs read it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
