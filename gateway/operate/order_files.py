"""Reads the orders that a file names: CSV, or JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway import exact_json
from gateway.config.setting_values import did_you_mean
from gateway.errors import GatewayError

COLUMNS = ("order_reference", "reference", "order", "order_id")
"""Columns of CSV, or fields of JSON, that name an order. The first that a file has is read."""
DELIMITERS = ",;\t|"
"""Characters that may separate the columns of a CSV file. The one that the first line has most often does."""

Named = tuple[int, Any]
"""A line's number, and the value that names its order."""


def read_orders(file: Iterable[str], name: str, column: str | None = None) -> list[str]:
    """Return the orders (ids or references) that a file names, each once, in the file's order.

    If the first line begins with `{`, each line is a JSON object. Any other is CSV: with a header, or with
    one column and no header. `column` names the column or the field to read; by default it is one of COLUMNS.
    Raises GatewayError with the file's name and the line if it can't be read.
    """
    try:
        found = list(dict.fromkeys(find_orders(file, name, column)))
    except UnicodeDecodeError:
        raise GatewayError(f"{name}: the file is not UTF-8 text") from None
    except csv.Error as error:
        raise GatewayError(f"{name}: {error}") from None
    if not found:
        raise GatewayError(f"{name}: the file names no order")
    return found


def find_orders(file: Iterable[str], name: str, column: str | None) -> Iterator[str]:
    """Yield the orders of a file."""
    lines = list(file)
    first = next((line for line in lines if line.strip()), "")
    is_json = first.lstrip().startswith("{")
    found = read_json_lines(lines, name, column) if is_json else read_csv(lines, first, name, column)
    for line, value in found:
        if order := order_of(value, f"{name}:{line}"):
            yield order


def order_of(value: Any, place: str) -> str:
    """Return the order that a value names, "" if it names none. Raises GatewayError for another value."""
    text = "" if value is None else value if isinstance(value, str) else exact_json.whole_digits(value)
    if text is None:
        raise GatewayError(f"{place}: expected an order's id or reference, not {exact_json.to_text(value)[:80]}")
    if "\0" in text:
        raise GatewayError(f"{place}: an order's name contains a NUL character")
    return text.strip()


# -- CSV


def read_csv(lines: Iterable[str], first: str, name: str, column: str | None) -> Iterator[Named]:
    """Yield the values of the column."""
    delimiter = max(DELIMITERS, key=first.count)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    header = [cell.strip() for cell in next(filter(any, rows), [])]
    wanted = choose_column(header, name, column)
    if wanted is None and header:
        yield rows.line_num, header[0]
    for row in rows:
        place = f"{name}:{rows.line_num}"
        if wanted is None and len(row) > 1:
            raise GatewayError(f"{place}: the first line has one column, but this one has {len(row)}")
        if wanted is not None and wanted >= len(row) and any(row):
            raise GatewayError(f"{place}: the row has no column {header[wanted]}")
        if any(row):
            yield rows.line_num, row[wanted or 0]


def choose_column(header: Sequence[str], name: str, column: str | None) -> int | None:
    """Return the index of the column to read, None if the file is one column without a header."""
    names = [cell.lower() for cell in header]
    for wanted in (column.lower(),) if column else COLUMNS:
        if wanted in names:
            return names.index(wanted)
    if column:
        raise GatewayError(f"{name}: the header has no column {column!r}{did_you_mean(column, header)}")
    if len(header) > 1:
        raise GatewayError(f"{name}: which column names the order? It has {', '.join(header)}; choose one by --column")
    return None


# -- JSON lines


def read_json_lines(lines: Iterable[str], name: str, column: str | None) -> Iterator[Named]:
    """Yield the values of the field."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, read_field(line, f"{name}:{number}", column)


def read_field(line: str, place: str, column: str | None) -> Any:
    """Return the value of the field that names the order."""
    try:
        value = exact_json.loads(line)
    except json.JSONDecodeError as error:
        raise GatewayError(f"{place}: expected a JSON object: {error.msg}") from None
    if not isinstance(value, Mapping):
        raise GatewayError(f"{place}: expected a JSON object")
    for field in (column,) if column else COLUMNS:
        if field in value:
            return value[field]
    raise GatewayError(f"{place}: the object has no field {column or ', '.join(COLUMNS[:-1]) + ' or ' + COLUMNS[-1]}")
