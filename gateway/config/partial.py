"""Makes a document usable by commands that need the store and the accounts' names, but no secret of a sink."""

from __future__ import annotations

import secrets
from typing import Any

import voluptuous as vol

from gateway.config.document import Document, Place, show_place
from gateway.config.schema import MAIN_SCHEMA

UNUSED = ("server", "admin", "log")
"""Sections that only a gateway needs."""
SHOWN = "public_url"
"""The setting of `server` that listings of endpoints need."""
NEEDED = ("store", "include", "tenant", "plugins")
"""Sections in which a missing text is an error for every command."""


def tolerate_missing(document: Document) -> None:
    """Remove the sections that only a gateway needs, and the errors of variables and files that are not there.

    A missing key or option becomes a random text, so that no request and no target can match it. Another missing
    setting gets its default.
    """
    if not isinstance(document.data, dict):
        return
    server = document.data.get("server")
    for section in UNUSED:
        document.data.pop(section, None)
    if isinstance(server, dict) and isinstance(server.get(SHOWN), str):
        document.data["server"] = {SHOWN: server[SHOWN]}
    drop_problems(document, lambda path: path.partition(".")[0] in UNUSED)
    for place in document.missing:
        if place[0] not in (*UNUSED, *NEEDED) and replace_missing(document.data, place):
            document.broken.discard(place)
            drop_problems(document, show_place(place).__eq__)


def find_store(main: Document) -> Any:
    """Return the settings with the store's and all other defaults; None if the store's are wrong or can't be read."""
    store = main.data.get("store", {}) if isinstance(main.data, dict) else None
    try:
        return None if store is None or main.is_broken(("store",)) else MAIN_SCHEMA({"store": store})
    except vol.Invalid:  # it was reported with the whole file
        return None


def drop_problems(document: Document, matches: Any) -> None:
    document.problems[:] = [problem for problem in document.problems if not matches(problem.path)]


def replace_missing(data: Any, place: Place) -> bool:
    """Put a random text at a place, or remove the setting. Return False if it can do neither."""
    *around, last = place
    for step in around:
        data = data[step]
    if "keys" in place or "options" in place:
        data[last] = secrets.token_hex(16)
    elif isinstance(data, dict):
        del data[last]
    else:
        return False
    return True
