"""Sets structlog up, once, at start; and keeps secrets out of what is written."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import re
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO, cast
from urllib.parse import quote

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

MASK = "***"
SHORTEST = 4
"""A secret shorter than this is no secret, and masking it would eat the log."""
MANY = 100
BEGINNING = 8
"""Characters."""


class Redactor:
    """Takes secrets out of text: as they are, as JSON writes them and as a URL does."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Take out these too, from now on."""
        self._secrets.update(secret for secret in secrets if len(secret) >= SHORTEST)
        forms = {form for secret in self._secrets for form in spellings(secret)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._all = any_of(longest_first)
        # With hundreds of accounts, to try every key at every place of each line would cost more than all else that
        # is done for a signal. How the text's pieces begin tells nearly always that there is none.
        self._beginnings = frozenset(form[:BEGINNING] for form in forms if len(form) >= BEGINNING)
        self._short = any_of(form for form in longest_first if len(form) < BEGINNING)

    def __call__(self, text: str) -> str:
        if self._all is None:
            return text
        if len(self._beginnings) > MANY and not self._may_hold_one(text):
            return text
        return self._all.sub(MASK, text)

    def _may_hold_one(self, text: str) -> bool:
        if self._short and self._short.search(text):
            return True
        return not self._beginnings.isdisjoint([text[i : i + BEGINNING] for i in range(len(text) - BEGINNING + 1)])


def any_of(texts: Iterable[str]) -> re.Pattern[str] | None:
    pattern = "|".join(map(re.escape, texts))
    return re.compile(pattern) if pattern else None


def spellings(secret: str) -> set[str]:
    escaped = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]
    return {secret, *escaped, quote(secret), quote(secret, safe="")}


def set_up_logs(
    format: str = "json", level: str = "info", redact: Redactor | None = None, stream: TextIO | None = None
) -> None:
    """Write one line an event to `stream` (stderr), as JSON or for the console, and take in the stdlib's logs."""
    out = stream or open_stderr()
    console = structlog.dev.ConsoleRenderer(colors=out.isatty(), timestamp_key="at")
    shown = [escape_values, console] if format == "console" else [render_json]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            add_time,
            structlog.processors.format_exc_info,
            *shown,
            RedactLine(redact or Redactor()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, Unbreakable(out))),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[StdlibHandler()], level=level.upper(), force=True)
    # At the debug level peewee writes each statement with its values: whole payloads.
    logging.getLogger("peewee").setLevel(max(logging.INFO, logging.getLogger().level))


def add_time(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    second, fraction = divmod(time.time_ns(), 10**9)
    event["at"] = f"{utc_second(second)}.{fraction // 1000:06}Z"
    return event


@functools.lru_cache(maxsize=1)  # lines come many a second
def utc_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def open_stderr() -> TextIO:
    """stderr without a buffer, which would keep what could not be written, and fail at the process's end for it."""
    raw = io.FileIO(sys.stderr.fileno(), "w", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


class Unbreakable:
    """A stream to write to that may fail: a full disk under the log, or a reader that has gone, must lose lines and not
    signals."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        """Nothing is kept back: stderr has no buffer, see `open_stderr`."""


def escape(text: str) -> str:
    """Text that a stranger may have sent, so that it can't forge a line or tell a terminal what to do."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def escape_values(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """For the console: JSON escapes by itself, and a traceback is several lines."""
    return {k: escape(v) if isinstance(v, str) and k != "exception" else v for k, v in event.items()}


def render_json(logger: WrappedLogger, name: str, event: EventDict) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()


class RedactLine:
    """The last processor: what it sees is the whole line, so nothing can pass it by."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    def __call__(self, logger: WrappedLogger, name: str, line: Any) -> str:
        return self._redact(str(line))


class StdlibHandler(logging.Handler):
    """Hands the records of libraries that use the stdlib's logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, f"library.{record.name}", message=record.getMessage(), exc_info=record.exc_info or None)
