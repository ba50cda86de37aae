"""The route's options: their schema, and what they make of a route."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import voluptuous as vol

from cloudsignal_csv.rows import COLUMNS, Format
from gateway.sink import Context

DELIMITERS = {",": ",", ";": ";", "|": "|", "\t": "\t", "tab": "\t"}


def directory(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise vol.Invalid("expected the path of a directory")
    return value


def filename(value: object) -> str:
    """A name within the directory; `{account}` and `{route}` stand for the route's."""
    if not isinstance(value, str) or not value.isprintable() or not value.strip() or re.search(r"[/\\]", value):
        raise vol.Invalid("expected a file name without a directory")
    if value != value.strip(" .") or len(value.encode()) > 120:
        raise vol.Invalid("expected a file name of at most 120 bytes, with no dot or space at its ends")
    if re.search(r"[{}]", value.replace("{account}", "").replace("{route}", "")):
        raise vol.Invalid("expected no braces but those of {account} and {route}")
    return value


def delimiter(value: object) -> str:
    if not isinstance(value, str) or value not in DELIMITERS:
        raise vol.Invalid('expected one of ",", ";", "|" or tab')
    return DELIMITERS[value]


def columns(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, (list, tuple)) else ()
    if not names or not all(isinstance(name, str) and name in COLUMNS for name in names):
        raise vol.Invalid(f"expected a list of columns, of: {', '.join(COLUMNS)}")
    if len(set(names)) < len(names):
        raise vol.Invalid("expected each column once")
    return tuple(names)


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise vol.Invalid("expected true or false")
    return value


OPTIONS: Mapping[Any, Any] = {
    vol.Required("directory"): directory,
    vol.Optional("filename", default="{account}.{route}.csv"): filename,
    vol.Optional("delimiter", default=","): delimiter,
    vol.Optional("columns", default=list(COLUMNS)): columns,
    vol.Optional("formula_safe", default=True): flag,
}


def path_of(options: Mapping[str, Any], context: Context) -> Path:
    """The file of a route: in its directory, whatever the account's name."""
    name = options["filename"]
    for word, text in (("{account}", context.account), ("{route}", context.route)):
        name = name.replace(word, re.sub(r"[^\w.-]|^\.+", "_", text))
    return Path(options["directory"], name)


def format_of(options: Mapping[str, Any]) -> Format:
    return Format(tuple(options["columns"]), options["delimiter"], options["formula_safe"])
