"""Sets up structlog at the start, and keeps secrets out of the log."""

from __future__ import annotations

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

from gateway.log_output import LogOutput, descriptor_of
from gateway.model import MASK

MIN_SECRET_LENGTH = 4
"""Characters. A shorter text is not masked: it is no secret, and too many log lines would contain it."""
MAX_SEARCHED_SECRETS = 100
"""Up to this number, secrets are searched by one regular expression; more are first looked up by their prefixes."""
PREFIX_LENGTH = 8
"""Characters of a secret that are looked up first: long enough that log text rarely has them by chance."""


class Redactor:
    """Masks secrets in text, in plain form and as JSON or URLs spell them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask these secrets too, from now on."""
        self._secrets.update(secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH)
        forms = {form for secret in self._secrets for form in spellings(secret)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._all = any_of(longest_first)
        # With hundreds of accounts, searching each line for every key would cost more than all other work on a signal.
        # Looking up each 8 characters of the line in a set of prefixes nearly always shows that it has none.
        self._prefixes = frozenset(form[:PREFIX_LENGTH] for form in forms if len(form) >= PREFIX_LENGTH)
        self._short = any_of(form for form in longest_first if len(form) < PREFIX_LENGTH)

    def __call__(self, text: str) -> str:
        if self._all is None:
            return text
        if len(self._prefixes) > MAX_SEARCHED_SECRETS and not self._may_contain_secret(text):
            return text
        return self._all.sub(MASK, text)

    def _may_contain_secret(self, text: str) -> bool:
        if self._short and self._short.search(text):
            return True
        pieces = [text[i : i + PREFIX_LENGTH] for i in range(len(text) - PREFIX_LENGTH + 1)]
        return not self._prefixes.isdisjoint(pieces)


def any_of(texts: Iterable[str]) -> re.Pattern[str] | None:
    pattern = "|".join(map(re.escape, texts))
    return re.compile(pattern) if pattern else None


def spellings(secret: str) -> set[str]:
    escaped = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]
    # repr escapes a single quote only beside a double one, which the text around the secret may have.
    quoted = repr(f'"{secret}')[2:-1], repr(f"'{secret}")[2:-1]
    return {secret, *escaped, *quoted, quote(secret), quote(secret, safe="")}


def set_up_logs(
    format: str = "json", level: str = "info", redact: Redactor | None = None, stream: LogOutput | TextIO | None = None
) -> None:
    """Write a line per event to `stream` (stderr), as JSON or for the console. The stdlib's logs are included."""
    out = stream or LogOutput(descriptor_of(sys.stderr))
    console = structlog.dev.ConsoleRenderer(colors=out.isatty(), timestamp_key="at")
    shown = [escape_values, console] if format == "console" else [render_json]
    processors = [
        structlog.processors.add_log_level,
        add_time,
        structlog.processors.format_exc_info,
        *shown,
        RedactLine(redact or Redactor()),
    ]
    wrapper_class = structlog.make_filtering_bound_logger(level)
    structlog.configure(
        processors=processors,
        wrapper_class=wrapper_class,
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, out)),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[StdlibHandler()], level=level.upper(), force=True)
    # At the debug level peewee logs each statement with its values, so whole payloads.
    logging.getLogger("peewee").setLevel(max(logging.INFO, logging.getLogger().level))

    def describe_dropped(lines: int) -> str:
        line = io.StringIO()
        log = structlog.wrap_logger(structlog.WriteLogger(line), processors, wrapper_class)
        log.warning("log.dropped", lines=lines)
        return line.getvalue()

    if isinstance(out, LogOutput):
        out.describe_dropped = describe_dropped


def set_up_command_logs() -> None:
    """Write warnings of a command to stderr, as text: its standard output is for its result.

    Without tracebacks: the renderer would show the values of variables, and secrets among them.
    """
    console = structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[structlog.processors.add_log_level, drop_traceback, escape_values, console],
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def drop_traceback(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    event.pop("exc_info", None)
    return event


def add_time(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    second, fraction = divmod(time.time_ns(), 10**9)
    event["at"] = f"{utc_second(second)}.{fraction // 1000:06}Z"
    return event


@functools.lru_cache(maxsize=1)  # many lines have the same second
def utc_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def escape(text: str) -> str:
    """Escape control characters, so that a sender's text can neither forge a log line nor control a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def escape_values(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Escape an event's values for the console, except tracebacks, which have several lines. JSON needs no escapes."""
    return {k: escape(v) if isinstance(v, str) and k != "exception" else v for k, v in event.items()}


def render_json(logger: WrappedLogger, name: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # a lone surrogate, or an integer beyond 64 bits
        return json.dumps(event, default=repr)


class RedactLine:
    """Masks secrets. As the last processor it sees the whole line, so no value can bypass it."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    def __call__(self, logger: WrappedLogger, name: str, line: Any) -> str:
        return self._redact(str(line))


class StdlibHandler(logging.Handler):
    """Passes the log records of libraries that use the stdlib's logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, f"library.{record.name}", message=record.getMessage(), exc_info=record.exc_info or None)
