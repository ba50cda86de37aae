"""Bodies that hold a signal in another form than a JSON object in UTF-8: what is wrong with them, and the object.

They are not accepted. But if their key is right, quarantine keeps the object and says what to mend. All of this is done
for strangers too, so each step takes time in proportion to the body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson

from gateway import exact_json

MOST_FIELDS = 100
"""Fields of a form. A signal has fewer than 20."""
MOST_LEVELS = 3
"""JSON texts within each other."""
_PART_NAME = re.compile(rb'name="?([^";\r\n]+)')


@dataclass(frozen=True, slots=True)
class Misread:
    """An object that a body holds, as JSON in UTF-8, and what is wrong with the body."""

    json: bytes
    fault: str


def find_object(body: bytes) -> Misread | None:
    """Return the object that a body holds in another form than it should, None if it holds none."""
    encoding = json.detect_encoding(body)
    if not encoding.startswith("utf-8"):
        try:
            text = body.decode(encoding)
        except ValueError:
            return None
        found = unwrap(text)
        name = encoding.removesuffix("-le").removesuffix("-be").upper()
        return Misread(found[0], f"is {name}; expected a JSON object in UTF-8") if found else None
    try:
        text = body.decode(encoding).strip()
    except ValueError:
        return None
    if text.startswith('"'):
        found = unwrap(text)
        return Misread(found[0], "is JSON within JSON text; expected the object itself") if found else None
    return find_in_form(text, body)


def unwrap(text: str) -> tuple[bytes, int] | None:
    """Return the object in JSON text, which may stand within other JSON text, and its level; None if there is none."""
    for level in range(MOST_LEVELS):
        try:
            value = exact_json.load_rounded(text.encode())
        except (json.JSONDecodeError, UnicodeEncodeError):
            return None
        if isinstance(value, dict):
            return text.encode(), level
        if not isinstance(value, str):
            return None
        text = value
    return None


def find_in_form(text: str, body: bytes) -> Misread | None:
    """Return the object in a form, url-encoded or multipart: its fields, or JSON in one of them."""
    fields = list(read_parts(body)) if text.startswith("--") else read_pairs(text)
    for name, value in fields:
        for each in (value, name):
            if each.lstrip()[:1] in ("{", '"') and (found := unwrap(each)):
                return Misread(found[0], "is a form with JSON in it; expected the JSON object alone")
    if not any(name == "apikey" for name, _ in fields):
        return None
    payload: dict[str, Any] = dict(fields)
    try:
        return Misread(orjson.dumps(payload), "is a form; expected a JSON object")
    except orjson.JSONEncodeError:  # lone surrogates
        return None


def read_pairs(text: str) -> list[tuple[str, str]]:
    """Return the fields of a url-encoded form."""
    if text.count("&") > MOST_FIELDS:
        return []
    return parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="replace")


def read_parts(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield the fields of a multipart form. Its first line is the boundary."""
    boundary = body.strip().partition(b"\n")[0].strip()
    for part in body.split(boundary, MOST_FIELDS)[1:]:
        head, _, value = part.replace(b"\r\n", b"\n").partition(b"\n\n")
        if name := _PART_NAME.search(head):
            yield name[1].decode("utf-8", "replace"), value.removesuffix(b"\n").decode("utf-8", "replace")
