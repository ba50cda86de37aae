"""Rows for signals: their columns, the escaping of spreadsheet formulas, and the text format of RFC 4180."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from gateway.sink import Signal, dump_json

Getter = Callable[[Signal, tzinfo], str]


def field(name: str) -> Getter:
    """Return a getter of a payload field, as sent."""
    return lambda signal, zone: signal.text(name)


def to_text(moment: datetime | None, zone: tzinfo) -> str:
    """Return a time in ISO 8601 with milliseconds, Z for UTC, "" for None.

    All texts of one offset have the same width, so that they sort by time.
    """
    if moment is None:
        return ""
    try:
        text = moment.astimezone(zone).isoformat(timespec="milliseconds")
    except OverflowError:  # the first and last day that a datetime can have
        text = moment.isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


COLUMNS: Mapping[str, Getter] = {
    "received_at": lambda signal, zone: to_text(signal.received_at, zone),
    "occurred_at": lambda signal, zone: to_text(signal.occurred_at, zone),
    "type": lambda signal, zone: signal.type,
    "account": lambda signal, zone: signal.account,
    "order": lambda signal, zone: signal.order,
    "order_reference": lambda signal, zone: signal.order_reference,
    "item": lambda signal, zone: signal.item or "",
    "item_reference": lambda signal, zone: signal.item_reference or "",
    "tracking": field("tracking"),
    "shipping_option": field("shipping_option"),
    "cause": field("cause"),
    "message": field("message"),
    "delay": field("delay"),
    "url": field("url"),
    "signal": lambda signal, zone: str(signal.id),
    "identity": lambda signal, zone: signal.identity,
    "cause_in_words": lambda signal, zone: signal.cause,
    "payload": lambda signal, zone: dump_json(signal.payload, sort_keys=True).decode(),
    "incomplete": lambda signal, zone: " ".join(signal.missing),
    "watch": field("watch"),
    "state": field("state"),
}
"""The getter of each column. `signal` is the gateway's own number; `payload` is the sent JSON without the key.
`incomplete` names the required parameters that the sender left empty. `watch` and `state` are of alerts."""

DEFAULT_COLUMNS = tuple(COLUMNS)[:16]
"""The columns of a route that names none."""

ENCODINGS: Mapping[str, tuple[bytes, str]] = {
    "utf-8": (b"", "utf-8"),
    "utf-8-sig": (codecs.BOM_UTF8, "utf-8"),
    "utf-16": (codecs.BOM_UTF16_LE, "utf-16-le"),
    "windows-1252": (b"", "cp1252"),
    "iso-8859-1": (b"", "iso-8859-1"),
    "iso-8859-15": (b"", "iso-8859-15"),
}
"""For each encoding the byte order mark at the file's beginning, and Python's name of the codec."""

FORMULA = re.compile(r"[\t\r\n]|[\s\x00-\x20\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""Values that a spreadsheet may run, by OWASP's "CSV Injection", with full-width forms and leading white space."""


def escape_formula(value: str) -> str:
    """Put an apostrophe before a value that a spreadsheet could take for a formula."""
    return f"'{value}" if FORMULA.match(value) else value


TEXT = re.compile(r'[^"\x00-\x1f\x7f]{1,255}')
"""Values that `as_text` writes as a formula. Spreadsheets allow text of 255 characters in one."""


def as_text(value: str) -> str | None:
    """Return a formula that gives the value as text: ="000123". Return None for a value that can't be in one.

    A spreadsheet that opens 000123 keeps 123, and the last digits of a number of 20 digits become zeros.
    """
    return f'="{value}"' if TEXT.fullmatch(value) else None


@dataclass(frozen=True, slots=True)
class Format:
    """The format of a file. `columns` are pairs of a column and its title in the header.

    NUL becomes U+FFFD, because most readers of CSV refuse it. A character that the encoding lacks becomes "?".
    """

    columns: Sequence[tuple[str, str]] = tuple((name, name) for name in DEFAULT_COLUMNS)
    delimiter: str = ","
    encoding: str = "utf-8"
    timezone: tzinfo = UTC
    formula_safe: bool = True
    text_columns: frozenset[str] = frozenset()

    def header(self) -> bytes:
        """Return a file's first bytes: byte order mark and header row."""
        mark, _ = ENCODINGS[self.encoding]
        return mark + self.encode([[title for _, title in self.columns]])

    def rows(self, signals: Iterable[Signal]) -> bytes:
        """Return one row per signal."""
        columns = [(COLUMNS[name], name in self.text_columns) for name, _ in self.columns]
        return self.encode(
            [self.value(get(signal, self.timezone), is_text) for get, is_text in columns] for signal in signals
        )

    def value(self, text: str, is_text: bool = False) -> str:
        """Return a value as it stands in a row. `is_text` keeps spreadsheets from reading it as a number."""
        text = text.replace("\0", "\ufffd")
        if is_text and (formula := as_text(text)):
            return formula
        return escape_formula(text) if self.formula_safe else text

    def encode(self, rows: Iterable[Sequence[str]]) -> bytes:
        """Return rows as bytes. CRLF ends a row; values with a delimiter, quote or line break are quoted."""
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.delimiter).writerows(rows)
        return text.getvalue().encode(ENCODINGS[self.encoding][1], "replace")

    def digest(self) -> str:
        """Return a digest of the format. A file is not continued in another format."""
        told = repr(
            (
                self.columns,
                self.delimiter,
                self.encoding,
                str(self.timezone),
                self.formula_safe,
                sorted(self.text_columns),
            )
        )
        return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
