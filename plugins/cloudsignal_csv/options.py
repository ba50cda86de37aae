"""The route's options: their schema, and the file names and format made of them."""

from __future__ import annotations

import os
import re
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import voluptuous as vol

from cloudsignal_csv.file_names import FileNames, Rotation
from cloudsignal_csv.rows import COLUMNS, DEFAULT_COLUMNS, ENCODINGS, Format
from gateway.sink import Context, flag, one_of, option, shaped

DELIMITERS = {",": ",", ";": ";", "|": "|", "\t": "\t", "tab": "\t"}
BYTES_IN = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
END_OF_FILE = {"type": "string", "pattern": "^(never|daily|\\d{1,6} ?(KB|MB|GB))$"}
TITLED_COLUMN = {
    "type": "object",
    "propertyNames": {"enum": list(COLUMNS)},
    "additionalProperties": {"type": "string", "pattern": "\\S", "maxLength": 100},
    "minProperties": 1,
    "maxProperties": 1,
}
PLACEHOLDERS = re.compile(r"\{(account|tenant|route)\}")


@shaped(type="string", pattern=r"\S", examples=["exports"])
def directory_path(value: object) -> str:
    """Check a path. Each of `{account}`, `{tenant}` and `{route}` becomes a single name in it."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise vol.Invalid("expected the path of a directory")
    return check_placeholders(value)


@shaped(type="string", pattern=r"^[^/\\]*\S[^/\\]*$", maxLength=120)
def file_name(value: object) -> str:
    """Check a file name, which may contain the same placeholders as the directory."""
    if not isinstance(value, str) or not value.isprintable() or not value.strip() or re.search(r"[/\\]", value):
        raise vol.Invalid("expected a file name without a directory")
    if value != value.strip(" .") or len(value.encode()) > 120:
        raise vol.Invalid("expected a file name of at most 120 bytes, with no dot or space at its ends")
    return check_placeholders(value)


def check_placeholders(value: str) -> str:
    if re.search(r"[{}]", PLACEHOLDERS.sub("", value)):
        raise vol.Invalid("expected no braces except in {account}, {tenant} and {route}")
    return value


@shaped(anyOf=[END_OF_FILE, {"type": "array", "items": END_OF_FILE, "minItems": 1, "maxItems": 2}])
def rotation(value: object) -> Rotation:
    """Check `never`, `daily`, a size such as 10MB, or a list of `daily` and a size."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not parts or len(parts) > 2:
        raise vol.Invalid("expected never, daily, a size such as 10MB, or a list of daily and a size")
    sizes = [size_of(part) for part in parts if part not in ("never", "daily")]
    words = [part for part in parts if part in ("never", "daily")]
    if len(sizes) > 1 or len(words) > 1 or ("never" in words and sizes):
        raise vol.Invalid("expected never, daily, a size such as 10MB, or a list of daily and a size")
    return Rotation("daily" in words, sizes[0] if sizes else None)


def size_of(value: object) -> int:
    match = re.fullmatch(r"(\d{1,6}) ?(KB|MB|GB)", value) if isinstance(value, str) else None
    size = int(match[1]) * BYTES_IN[match[2]] if match else 0
    if not 10**3 <= size <= 10**9:
        raise vol.Invalid("expected never, daily, or a size from 1KB to 1GB")
    return size


@shaped(enum=list(DELIMITERS))
def delimiter_text(value: object) -> str:
    if not isinstance(value, str) or value not in DELIMITERS:
        raise vol.Invalid('expected one of ",", ";", "|" or tab')
    return DELIMITERS[value]


@shaped(type="array", minItems=1, items={"anyOf": [{"enum": list(COLUMNS)}, TITLED_COLUMN]})
def column_list(value: object) -> tuple[tuple[str, str], ...]:
    """Check a list of columns, each a name or `{name: title}`."""
    entries = value if isinstance(value, (list, tuple)) else ()
    if not entries:
        raise vol.Invalid(f"expected a list of columns, of: {', '.join(COLUMNS)}")
    pairs = tuple(column(entry) for entry in entries)
    if any(len(set(names)) < len(pairs) for names in zip(*pairs, strict=True)):
        raise vol.Invalid("expected each column once, and each by a name of its own")
    return pairs


@shaped(anyOf=[{"enum": list(COLUMNS)}, {"type": "array", "items": {"enum": list(COLUMNS)}}])
def column_names(value: object) -> frozenset[str]:
    """Check a list of names of columns, which may be empty."""
    names = value if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(name, str) and name in COLUMNS for name in names):
        raise vol.Invalid(f"expected a list of columns, of: {', '.join(COLUMNS)}")
    return frozenset(names)


def column(entry: object) -> tuple[str, str]:
    pair = dict.fromkeys([entry], entry) if isinstance(entry, str) else entry
    if not isinstance(pair, Mapping) or len(pair) != 1 or not set(pair) <= set(COLUMNS):
        raise vol.Invalid(f"expected columns, each a name or name: title, of: {', '.join(COLUMNS)}")
    [(name, title)] = pair.items()
    if not isinstance(title, str) or not title.strip() or not title.isprintable() or len(title) > 100:
        raise vol.Invalid("expected a column's title to be text of at most 100 printable characters")
    return name, title


@shaped(type="string", pattern=r"^[A-Za-z]", examples=["Europe/Berlin"])
def time_zone(value: object) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(value if isinstance(value, str) else "")
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise vol.Invalid("expected a time zone such as UTC or Europe/Berlin") from None


@dataclass(frozen=True, kw_only=True)
class FileSettings:
    """The options of the files' names and ends, once validated."""

    directory: str = option(
        directory_path, "The directory of the files, relative to the working directory. It is created if it is missing."
    )
    filename: str = option(
        file_name,
        "The name of the file. With `rotate`, a day and a number come before its ending.",
        default="{account}.{route}.csv",
    )
    rotate: Rotation = option(
        rotation,
        "The end of a file: `never`, `daily`, before it would be larger than a size (`64KB`, `10MB`, `1GB`), "
        "or a list of both.",
        default="never",
    )
    gzip: bool = option(flag, "Compress finished files. Needs `rotate`.", default=False)


@dataclass(frozen=True, kw_only=True)
class FormatSettings:
    """The options of the files' format, once validated."""

    columns: tuple[tuple[str, str], ...] = option(
        column_list,
        "A list of columns in their order. `order: Order no` in the place of `order` changes the title in the header.",
        default=list(DEFAULT_COLUMNS),
    )
    delimiter: str = option(delimiter_text, "The text between values: `,` `;` `\\|` or `tab`.", default=",")
    encoding: str = option(
        one_of(*ENCODINGS),
        "`utf-8`, `utf-8-sig` (with the mark by which Excel knows it), `utf-16`, `windows-1252`, `iso-8859-1` or "
        "`iso-8859-15`. A character that it lacks becomes `?`.",
        default="utf-8",
    )
    timezone: zoneinfo.ZoneInfo = option(
        time_zone, "The zone of the times, and of the day of `daily`, such as `Europe/Berlin`.", default="UTC"
    )
    formula_safe: bool = option(
        flag, "Put an apostrophe before a value that a spreadsheet could run as a formula.", default=True
    )
    text_columns: frozenset[str] = option(
        column_names,
        'Columns of `columns` whose values are written as `="000123"`, which a spreadsheet shows as text. See below.',
        default=[],
    )

    def make_format(self) -> Format:
        """Return the format of the files."""
        return Format(self.columns, self.delimiter, self.encoding, self.timezone, self.formula_safe, self.text_columns)


@dataclass(frozen=True, kw_only=True)
class Settings(FormatSettings, FileSettings):
    """All options once validated, in the order of the bases from last to first."""

    def make_names(self, context: Context) -> FileNames:
        """Return the names of a route's files. No account's name can lead out of the directory."""
        words = {"account": context.account, "tenant": context.tenant, "route": context.route}

        def fill(template: str) -> str:
            return PLACEHOLDERS.sub(lambda match: re.sub(r"[^\w.-]|^\.+", "_", words[match[1]]) or "_", template)

        return FileNames(os.path.expanduser(fill(self.directory)), fill(self.filename), self.rotate, self.gzip)


def check_together(options: Mapping[str, Any]) -> None:
    """Check the options that depend on each other."""
    if options["gzip"] and not options["rotate"]:
        raise vol.Invalid("gzip needs rotate: only finished files are compressed", path=["gzip"])
    if absent := sorted(options["text_columns"] - {name for name, _ in options["columns"]}):
        raise vol.Invalid(f"not among the columns: {', '.join(absent)}", path=["text_columns"])
