"""A signal as a row: its columns, the guard against spreadsheet formulas, and the text as RFC 4180 has it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.sink import Signal


def field(name: str) -> Callable[[Signal], str]:
    """A payload field, as sent."""
    return lambda signal: signal.text(name)


def to_text(moment: datetime | None) -> str:
    """ISO 8601 in UTC to the millisecond, of one width so that text sorts as time does; "" for None."""
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z" if moment else ""


COLUMNS: Mapping[str, Callable[[Signal], str]] = {
    "received_at": lambda signal: to_text(signal.received_at),
    "occurred_at": lambda signal: to_text(signal.occurred_at),
    "type": lambda signal: signal.type,
    "account": lambda signal: signal.account,
    "order": lambda signal: signal.order,
    "order_reference": lambda signal: signal.order_reference,
    "item": lambda signal: signal.item or "",
    "item_reference": lambda signal: signal.item_reference or "",
    "tracking": field("tracking"),
    "shipping_option": field("shipping_option"),
    "cause": field("cause"),
    "message": field("message"),
    "delay": field("delay"),
    "url": field("url"),
    "signal": lambda signal: str(signal.id),
    "identity": lambda signal: signal.identity,
}
"""The columns in their order, and what each holds of a signal. `signal` is the gateway's own number."""

FORMULA = re.compile(r"[\t\r\n]|[\s\x00-\x20\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""What a spreadsheet may run: OWASP's "CSV Injection", full-width forms and leading white space included."""


def guard(value: str) -> str:
    """The value with an apostrophe before it where a spreadsheet could take it for a formula."""
    return f"'{value}" if FORMULA.match(value) else value


@dataclass(frozen=True, slots=True)
class Format:
    """How rows are written. NUL, which most readers of CSV refuse, becomes U+FFFD."""

    columns: Sequence[str] = tuple(COLUMNS)
    delimiter: str = ","
    formula_safe: bool = True

    def header(self) -> bytes:
        return self.encode([self.columns])

    def rows(self, signals: Iterable[Signal]) -> bytes:
        getters = [COLUMNS[name] for name in self.columns]
        return self.encode([self.value(get(signal)) for get in getters] for signal in signals)

    def value(self, text: str) -> str:
        text = text.replace("\0", "\ufffd")
        return guard(text) if self.formula_safe else text

    def encode(self, rows: Iterable[Sequence[str]]) -> bytes:
        """CRLF ends a row; values with a delimiter, quote or line break are quoted."""
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.delimiter).writerows(rows)
        return text.getvalue().encode("utf-8", "replace")
