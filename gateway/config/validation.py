"""Validates parts of a document by voluptuous schemas. Errors become problems with a place and without values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import voluptuous as vol

from gateway.config.document import Document, Place, leaves
from gateway.config.schema import KeyEntry
from gateway.config.setting_values import did_you_mean
from gateway.validators import ListOf

WORDS = {
    "expected str": "expected text",
    "expected int": "expected a whole number",
    "expected float": "expected a number",
    "expected bool": "expected true or false",
    "expected list": "expected a list",
    "expected a list": "expected a list",
    "expected dict": "expected a mapping (name: value)",
    "expected a dictionary": "expected a mapping (name: value)",
    "required key not provided": "required",
}
UNKNOWN = "extra keys not allowed"


def validate(document: Document, schema: vol.Schema, value: Any, place: Place, foreign: bool = False) -> Any:
    """Return the value as the schema converts it. After errors, report them and return None.

    Validators of a `foreign` schema may put the value into their messages; it is masked there.
    """
    try:
        return schema(value)
    except vol.MultipleInvalid as error:
        for each in flatten(error):
            steps = tuple(step if isinstance(step, int) else str(step) for step in each.path)
            message = WORDS.get(each.msg, each.msg)
            if message == UNKNOWN:
                report_unknown_key(document, schema, place, steps)
            elif not document.is_broken((*place, *steps)):
                found = leaves(pick(value, steps)) if foreign else ()
                document.report((*place, *steps), without_values(message, found, document.texts.values()))
    except (Exception, SystemExit) as error:  # a plugin's validator may raise any error, with the value in its message
        document.report(place, f"the schema of these options failed: {type(error).__name__}")
    return None


def flatten(error: vol.Invalid) -> Iterator[vol.Invalid]:
    if isinstance(error, vol.MultipleInvalid):
        for each in error.errors:
            yield from flatten(each)
    else:
        yield error


def report_unknown_key(document: Document, schema: vol.Schema, place: Place, steps: Place) -> None:
    """Report an unknown key. The message names it only if it can't be a misplaced secret."""
    around, key = (*place, *steps[:-1]), str(steps[-1])
    hint = did_you_mean(key, known_keys(schema.schema, steps[:-1]))
    secret_here = "keys" in around or not re.fullmatch(r"[A-Za-z_][A-Za-z_-]{0,29}", key)
    if "did you mean" in hint or not secret_here:
        document.report((*around, key), f"unknown key {key!r}{hint}")
    else:
        document.report(around, f"unknown key{hint}", document.line((*around, key)))


def known_keys(schema: Any, steps: Place) -> list[str]:
    """Return the keys that a schema has at a place within it; none if the schema does not show them."""
    if isinstance(schema, (vol.Schema, KeyEntry)):
        return known_keys(schema.schema, steps)
    if isinstance(schema, ListOf):
        return known_keys(schema.check, steps[1:])
    if isinstance(schema, (vol.All, vol.Any)):
        return next(filter(None, (known_keys(part, steps) for part in schema.validators)), [])
    if not isinstance(schema, dict):
        return []
    if not steps:
        return [str(key) for key in schema if isinstance(key, (str, vol.Marker))]
    return next((known_keys(inner, steps[1:]) for key, inner in schema.items() if str(key) == steps[0]), [])


def pick(value: Any, steps: Place) -> Any:
    """Return the value at a place, or None if there is none."""
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def without_values(message: str, values: Iterable[Any], secrets: Iterable[str]) -> str:
    """Mask values in a message: secrets anywhere in it, other values only as whole words."""
    for secret in filter(lambda text: len(text) > 2, secrets):
        message = message.replace(secret, "***").replace(repr(secret)[1:-1], "***")
    for text in filter(lambda text: len(text) > 3, map(str, values)):
        for form in {text, repr(text)[1:-1]}:
            message = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", "***", message)
    return message
