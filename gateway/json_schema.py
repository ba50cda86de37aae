"""Converts voluptuous schemas to JSON Schema (draft 7), for editors and other programs.

A validator tells its form by `shaped`, or by a method `json_shape(convert)`. One that tells none takes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import voluptuous as vol

from gateway.validators import ListOf

DRAFT = "http://json-schema.org/draft-07/schema#"
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}


def convert(check: Any) -> dict[str, Any]:
    """Return the JSON Schema of a voluptuous schema or of one of its parts."""
    if shape := getattr(check, "json_shape", None):
        return dict(shape(convert)) if callable(shape) else dict(shape)
    if isinstance(check, vol.Schema) and isinstance(check.schema, Mapping):
        return convert_mapping(check.schema, check.extra)
    if isinstance(check, type):
        return {"type": TYPES[check]} if check in TYPES else {}
    return next((form(check) for kind, form in FORMS.items() if isinstance(check, kind)), {})


def convert_mapping(schema: Mapping[Any, Any], extra: int = vol.PREVENT_EXTRA) -> dict[str, Any]:
    """Return the JSON Schema of a mapping, with the meaning and the default of each key."""
    named = {key: check for key, check in schema.items() if isinstance(key, (str, vol.Marker))}
    required = [str(key) for key in named if isinstance(key, vol.Required) and is_undefined(key)]
    is_open = extra != vol.PREVENT_EXTRA or len(named) < len(schema)
    return {
        "type": "object",
        "properties": {str(key): {**convert(check), **describe(key)} for key, check in named.items()},
        **({"required": required} if required else {}),
        **({} if is_open else {"additionalProperties": False}),
    }


def is_undefined(key: Any) -> bool:
    """Return True if a marker has no default."""
    return isinstance(getattr(key, "default", vol.UNDEFINED), vol.Undefined)


def describe(key: Any) -> dict[str, Any]:
    """Return the annotations of a key: its meaning, and its default as in YAML."""
    meaning = getattr(key, "description", None)
    default = key.default() if isinstance(key, vol.Marker) and not is_undefined(key) else None  # type: ignore[attr-defined]
    return {
        **({"description": meaning.replace("\\|", "|")} if isinstance(meaning, str) else {}),
        **({"default": default} if default not in (None, {}) else {}),
    }


def convert_list(check: ListOf) -> dict[str, Any]:
    """Return the forms that ListOf takes: a list, a single text, and null for an empty list."""
    item, types = convert(check.check), types_of(convert(check.check))
    forms: list[dict[str, Any]] = [{"type": "array", "items": item}]
    if check.least:
        forms[0]["minItems"] = check.least
    if not types or "string" in types:
        forms.append({**item, "type": "string"})
    return {"anyOf": forms if check.least else [*forms, {"type": "null"}]}


def convert_items(checks: list[Any]) -> dict[str, Any]:
    return {"type": "array", **({"items": {"anyOf": [*map(convert, checks)]}} if checks else {})}


def types_of(schema: Mapping[str, Any]) -> set[str]:
    given = schema.get("type", [])
    return {given} if isinstance(given, str) else set(given)


def merge(*schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema that the first of some gives, narrowed by those that follow it."""
    merged: dict[str, Any] = {}
    for schema in schemas:
        merged = {**schema, **merged, **({"anyOf": schema["anyOf"]} if "anyOf" in schema else {})}
    if "required" in merged and types_of(merged) == {"object", "null"}:
        merged["type"] = "object"
    return merged


FORMS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    vol.Schema: lambda check: convert(check.schema),
    vol.All: lambda check: merge(*map(convert, check.validators)),
    vol.Any: lambda check: {"anyOf": [*map(convert, check.validators)]},
    vol.In: lambda check: {"enum": [*check.container]},
    ListOf: convert_list,
    Mapping: convert_mapping,
    list: convert_items,
    str: lambda check: {"const": check},
}
"""Conversions by the kind of a part."""
