"""Resolves `!env NAME` and `!file PATH`. Errors never show a text that may be the secret itself."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

LIKE_A_KEY = re.compile(r"[0-9a-fA-F]{32,}")
"""The form of the vendor's keys. Messages never show a text of this form."""
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
"""The usual form of a variable's name, which a secret seldom has."""
SEGMENT = re.compile(r"[A-Za-z0-9._~ -]{0,64}")
"""The usual form of a path's parts."""
RANDOM_FROM = 12
"""Characters from which a word of letters and digits counts as random."""


class Unresolved(Exception):
    """A reference gives no text. `missing` is True if its variable or file is not there, or empty."""

    def __init__(self, message: str, missing: bool = True) -> None:
        self.missing = missing
        super().__init__(message)


def read_variable(name: str, environ: Mapping[str, str]) -> str:
    """Return the value of a variable. Raises Unresolved."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise Unresolved("!env expects the name of an environment variable", missing=False)
    if LIKE_A_KEY.fullmatch(name):
        raise Unresolved(
            "!env expects the name of an environment variable; this looks like a key itself", missing=False
        )
    if environ.get(name):
        return environ[name]
    state = "empty" if name in environ else "not set"
    if name in environ or (VARIABLE.fullmatch(name) and not has_random_word(name)):
        raise Unresolved(f"the environment variable {name} is {state}")
    raise Unresolved(
        "!env expects the name of an environment variable, and there is none of this name; it is not shown, because it "
        "may be the secret itself"
    )


def read_file(name: str, directory: Path) -> str:
    """Return the contents of a file without the line breaks at its end. Raises Unresolved."""
    if LIKE_A_KEY.fullmatch(name):
        raise Unresolved("!file expects the path of a file; this looks like a key itself", missing=False)
    try:
        path = directory / os.path.expanduser(name)
        shown = f"the file {name}" if looks_like_path(name) or path.exists() else ""
        text = path.read_bytes().decode()
    except OSError as error:
        raise Unresolved(describe_unreadable(shown if "\0" not in name else "", error)) from None
    except UnicodeDecodeError:
        raise Unresolved(f"{shown} is not UTF-8 text", missing=False) from None
    except ValueError:
        raise Unresolved("!file expects the path of a file", missing=False) from None
    if text.startswith("\ufeff"):
        raise Unresolved(f"{shown} begins with a byte order mark: save it as UTF-8 without it", missing=False)
    if not (text := text.rstrip("\r\n")):
        raise Unresolved(f"{shown} is empty")
    return text


def describe_unreadable(shown: str, error: OSError) -> str:
    if shown:
        return f"can't read {shown}: {error.strerror or type(error).__name__}"
    return (
        "!file expects the path of a file, and there is none of this name; it is not shown, because it may be the "
        "secret itself (write ./NAME for a file beside this one)"
    )


def looks_like_path(name: str) -> bool:
    """Return True if a text is a path by its form, and no part of it looks random."""
    parts = name.split("/")
    return len(parts) > 1 and all(SEGMENT.fullmatch(part) and not has_random_word(part) for part in parts)


def has_random_word(text: str) -> bool:
    """Return True if a word of the text mixes letters with digits, or capitals with small letters, for long."""
    return any(
        len(word) >= RANDOM_FROM and len({"d" if c.isdigit() else "u" if c.isupper() else "l" for c in word}) > 1
        for word in re.split(r"[^A-Za-z0-9]+", text)
    )
