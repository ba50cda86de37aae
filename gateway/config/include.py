"""Finds the files that `include` names, and warns of those that it seems to miss."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from gateway.config.document import Document, Place
from gateway.config.settings import Include
from gateway.config.validation import pick

ENDINGS = (".yaml", ".yml")


def find_includes(main: Document) -> tuple[Include, ...]:
    """Return the entries of `include` with their files. A plain name that does not exist is reported."""
    given = pick(main.data, ("include",))
    patterns = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    found = []
    for index, pattern in enumerate(patterns):
        if isinstance(pattern, str) and pattern.strip() and "\0" not in pattern:
            place: Place = ("include", index) if isinstance(given, list) else ("include",)
            found.append(Include(pattern, tuple(find_files(main, place, pattern))))
    warn_of_missed(main, found)
    return tuple(found)


def find_files(main: Document, place: Place, pattern: str) -> Iterator[str]:
    """Yield the files of one entry, sorted. A pattern that matches none is a warning; a folder that matches, an error.

    Only `**` at the end of a pattern is meant to match folders.
    """
    matches = sorted(glob.glob(os.path.expanduser(pattern), root_dir=main.directory, recursive=True))
    magic = glob.has_magic(pattern)
    if not matches and magic:
        main.warn(place, f"no file matches {pattern}")
    elif not matches:
        main.report(place, "there is no such file")
    for match in matches:
        if not magic or not (main.directory / match).is_dir():
            yield match
        elif not pattern.endswith("**"):
            main.report(place, f"{show_file(match, main.directory)} is a folder; expected files of tenants")


def warn_of_missed(main: Document, includes: list[Include]) -> None:
    """Warn of files that differ from a pattern in the ending only, as .yml from *.yaml: their accounts are missing."""
    included = {(main.directory / file).resolve() for include in includes for file in include.files}
    for include in includes:
        stem, ending = os.path.splitext(include.pattern)
        if not glob.has_magic(include.pattern) or ending.lower() not in ENDINGS:
            continue
        for match in sorted(glob.glob(os.path.expanduser(f"{stem}.*"), root_dir=main.directory, recursive=True)):
            path = (main.directory / match).resolve()
            if path not in included and path.suffix.lower() in ENDINGS and path.is_file():
                included.add(path)
                main.warn(("include",), f"{match} is not included: no pattern matches it")


def show_file(name: str, directory: Path) -> str:
    """Return a file's name in messages: relative if it is below the main file's directory, else as given."""
    below = os.path.relpath(directory / name, directory)
    return os.path.normpath(name) if below.startswith(os.pardir) else below
