"""Printing of commands: tables for people, JSON lines for programs."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from gateway import exact_json
from gateway.cli import output, table
from gateway.logs import escape
from gateway.validators import show_moment


def print_json(rows: Iterable[Any]) -> None:
    """Print one object a line. If the output's encoding lacks a character, all but ASCII is escaped as JSON does."""
    for row in rows:
        text = exact_json.dumps(row, default=_plain).decode()
        click.echo(text if output.is_encodable(text) else NOT_ASCII.sub(escape_json, text))


NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def escape_json(character: re.Match[str]) -> str:
    return json.dumps(character[0])[1:-1]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def print_table(rows: Sequence[Mapping[str, object]], empty: str) -> None:
    """Print rows as a table whose columns are the keys of the first row; print `empty` if there are none."""
    if not rows:
        click.echo(empty)
        return
    table.print_rows([*rows[0]], [[show(value) for value in row.values()] for row in rows])


def show(value: object) -> str:
    """Return a value for people, with control characters escaped."""
    return "-" if value is None or value == "" else escape(str(value))


def count(number: int, noun: str) -> str:
    """Return a number with its noun: 1 route, 2 routes."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def moment(seconds: float | None) -> str:
    """Return a time as people read it, in UTC, to the second."""
    return "" if seconds is None else show_moment(seconds)


def age(seconds: float) -> str:
    """Return a duration as people read it, in its largest unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
