"""JSON Schema of voluptuous schemas, also of those of other authors' plugins."""

from __future__ import annotations

from typing import Any

import pytest
import voluptuous as vol

from gateway.json_schema import convert
from gateway.sink import ListOf, Secret, duration, flag, one_of, shaped

TEXT = {"type": "string"}


@shaped(type="string", pattern="^x")
def told(value: object) -> object:
    return value


@pytest.mark.parametrize(
    ("check", "schema"),
    [
        (str, TEXT),
        (int, {"type": "integer"}),
        ([str], {"type": "array", "items": {"anyOf": [TEXT]}}),
        ("text", {"const": "text"}),
        (one_of("a", "b"), {"enum": ["a", "b"]}),
        (flag, {"enum": [True, False]}),
        (Secret(), {"type": "string", "minLength": 1}),
        (told, {"type": "string", "pattern": "^x"}),
        (lambda value: value, {}),
        (vol.Any(str, None), {"anyOf": [TEXT, {}]}),
        (vol.All(str, vol.Length(min=1)), TEXT),
        (ListOf(told), {"anyOf": [{"type": "array", "items": convert(told)}, convert(told), {"type": "null"}]}),
        (ListOf(dict, least=1), {"anyOf": [{"type": "array", "items": {"type": "object"}, "minItems": 1}]}),
        (vol.Schema({"a": str}), {"type": "object", "properties": {"a": TEXT}, "additionalProperties": False}),
        (vol.Schema({str: int}), {"type": "object", "properties": {}}),
        (
            vol.Schema({vol.Required("a"): str}, extra=vol.ALLOW_EXTRA),
            {"type": "object", "properties": {"a": TEXT}, "required": ["a"]},
        ),
    ],
)
def test_schemas(check: Any, schema: dict[str, Any]) -> None:
    assert convert(check) == schema


def test_a_key_has_its_meaning_and_its_default() -> None:
    key = vol.Optional("wait", default="5s", description="How long: `a` \\| `b`.")
    (found,) = convert(vol.Schema({key: duration}))["properties"].values()
    assert (found["default"], found["description"]) == ("5s", "How long: `a` | `b`.")
