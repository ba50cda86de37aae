"""Validators that settings and sinks' options share. They raise voluptuous.Invalid; no message contains the value."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import voluptuous as vol

SECONDS_IN = {"s": 1, "m": 60, "h": 3600, "d": 86400}
"""Seconds in each unit of a duration."""
DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])")
LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""Seconds since the epoch. Durations have no upper bound, and so the end of one may lie beyond what can be shown."""


def shape_of(check: Any) -> dict[str, Any]:
    """Return the form that a validator tells by `shaped`."""
    return dict(getattr(check, "json_shape", {}))


NUMBER = r"^[-+]?\d+(\.\d+)?$"
"""Numbers as text, which `!env` gives."""
C = TypeVar("C", bound=Callable[..., Any])

ON_FILE = "[A-Z_][A-Z0-9_]*|[~./]\\S*"
"""Pattern of what an editor sees in the place of a text: the name in `!env NAME`, or the path in `!file ./PATH`."""


def shaped(**shape: Any) -> Callable[[C], C]:
    """Tell the form of the values that a validator takes, as JSON Schema, for editors: `@shaped(type="string")`.

    It may be wider than the validator, never narrower.
    """

    def attach(check: C) -> C:
        check.json_shape = shape  # type: ignore[attr-defined]
        return check

    return attach


def parse_duration(text: str) -> float:
    """Return the seconds in text such as 90s, 30m, 1.5h or 7d. Raises ValueError for other text."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError("not a duration")
    return float(match[1]) * SECONDS_IN[match[2]]


def parse_moment(text: str, now: float) -> float:
    """Return seconds since the epoch, from ISO 8601 (UTC if it has no offset) or from an age: 90s, 12h, 7d.

    Raises ValueError for other text.
    """
    with contextlib.suppress(ValueError):
        return now - parse_duration(text)
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def show_moment(seconds: float) -> str:
    """Return seconds since the epoch as people read them, in UTC, to the second. The year 9999 is the last."""
    return f"{datetime.fromtimestamp(min(seconds, LATEST), UTC):%Y-%m-%d %H:%M:%S}"


@shaped(type=["number", "string"], minimum=0, pattern=rf"^{DURATION.pattern}$|^\d+(\.\d+)?$")
def duration(value: object) -> float:
    """Seconds, from a number of them or from text such as 90s, 30m, 48h or 7d."""
    try:
        seconds = parse_duration(value) if isinstance(value, str) and value[-1:] in SECONDS_IN else number(value)
    except (ValueError, vol.Invalid):
        seconds = -1.0
    if seconds < 0:
        raise vol.Invalid("expected a duration such as 30s, 15m, 48h or 7d, or a number of seconds")
    return seconds


@shaped(type=["number", "string"], pattern=NUMBER)
def number(value: object) -> float:
    """A finite number; text is accepted too, because `!env` gives text."""
    try:
        found = math.nan if isinstance(value, bool) or not isinstance(value, (int, float, str)) else float(value)
    except (ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise vol.Invalid("expected a number")
    return found


@shaped(enum=[True, False])
def flag(value: object) -> bool:
    """True or false; the texts "true" and "false" are accepted too, because `!env` gives text."""
    if value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise vol.Invalid("expected true or false")
    return value


def one_of(*words: str) -> Any:
    """One of these words."""
    return vol.In(words, msg=f"expected one of {', '.join(words)}")


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values that `check` takes, as a tuple; all errors are reported at once.

    A single text counts as a list of one, and None as an empty list: `plugins:` with each line below it commented out.
    A text that begins with '-' is refused, because YAML reads `-name` as text: the space after the '-' is missing.
    """

    check: Callable[[Any], Any]
    least: int = 0

    def __call__(self, value: object) -> tuple[Any, ...]:
        if isinstance(value, str) and value.startswith("-"):
            raise vol.Invalid("expected a list: begin each entry with '- '")
        items = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(items, (list, tuple)):
            dash = ": begin each entry with '- '" if isinstance(items, dict) else ""
            raise vol.Invalid(f"expected a list{dash}")
        if len(items) < self.least:
            raise vol.Invalid("expected at least one entry")
        results, errors = [], []
        for index, item in enumerate(items):
            try:
                results.append(self.check(item))
            except vol.Invalid as error:
                error.prepend([index] if items is value else [])
                errors += error.errors if isinstance(error, vol.MultipleInvalid) else [error]
        if errors:
            raise vol.MultipleInvalid(errors)
        return tuple(results)
