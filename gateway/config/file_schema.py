"""The JSON Schema of the configuration's files, for editors: made of the tables of settings and the plugins' options.

It can't follow `!env`, `!file` and `include`, nor compare accounts; `cloudsignal check` decides. It is never stricter
than the check, but for numbers and switches given by `!env`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import voluptuous as vol

from gateway.config.schema import ACCOUNT_SCHEMA, MAIN_SCHEMA, SECTIONS, TENANT_SCHEMA, section
from gateway.config.setting_values import NAME
from gateway.json_schema import DRAFT, convert
from gateway.sink.registry import Plugin

MAIN_FILE, TENANT_FILE = "gateway.schema.json", "tenant.schema.json"
"""Names of the schemas' files, beside the main file."""
SWITCHED_OFF = {"type": "object", "required": ["enabled"], "maxProperties": 1}
"""An account's entry that is there to switch off the tenant's."""


def file_schemas(installed: Iterable[str], plugins: Mapping[str, Plugin]) -> Mapping[str, Mapping[str, Any]]:
    """Return the schemas by file name. `plugins` are those whose options are known."""
    main, tenant = convert(MAIN_SCHEMA), convert(TENANT_SCHEMA)
    main["properties"]["plugins"] = only_installed(main["properties"]["plugins"], sorted(installed))
    tenant["required"] = ["tenant"]
    definitions = {"account": convert(ACCOUNT_SCHEMA), **entries()}
    definitions["route"] = with_options(definitions["route"], sorted(installed), plugins)
    for owner, entry in ((main, "{}"), (tenant, "{}"), (definitions["account"], "account-{}")):
        nest(owner, definitions, entry)
    return {
        name: {"$schema": DRAFT, "title": title, "$comment": COMMENT, **schema, "definitions": definitions}
        for name, title, schema in (
            (MAIN_FILE, "CloudSignal Gateway: the main file", main),
            (TENANT_FILE, "CloudSignal Gateway: a tenant's file", {**tenant, "type": "object"}),
        )
    }


COMMENT = "Made by `cloudsignal schema --write`. Make it again after a change of `plugins` or of the gateway's version."


def dump_schema(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def entries() -> dict[str, dict[str, Any]]:
    """Return the schema of each kind of entry with a name of its own, such as a route, and its form in an account."""
    kinds = [path.partition(".<")[2].removesuffix(">") for path in SECTIONS if path.endswith(">")]
    found = {}
    for path, kind in zip((path for path in SECTIONS if path.endswith(">")), kinds, strict=True):
        if kind != "account":
            found[kind] = convert(vol.Schema(section(SECTIONS[path])))
            found[f"account-{kind}"] = {
                "if": SWITCHED_OFF,
                "then": {"properties": {"enabled": {"const": False}}},
                "else": {"$ref": f"#/definitions/{kind}"},
            }
    return found


def nest(owner: dict[str, Any], definitions: Mapping[str, Any], entry: str) -> None:
    """Put the schema of named entries into an owner's properties, such as routes into `routes`."""
    for path in SECTIONS:
        name, _, kind = path.rpartition(".")
        kind = kind.strip("<>")
        if path.endswith(">") and name in owner["properties"]:
            known = entry.format(kind) if entry.format(kind) in definitions else kind
            owner["properties"][name] = {
                **owner["properties"][name],
                "propertyNames": {"pattern": f"^{NAME.pattern}$"},
                "additionalProperties": {"$ref": f"#/definitions/{known}"},
            }


def only_installed(plugins: Mapping[str, Any], installed: Sequence[str]) -> dict[str, Any]:
    names = {"type": "string", "enum": installed}
    forms = [{"type": "array", "items": names}, names, {"type": "null"}]
    return {**plugins, "anyOf": forms} if installed else dict(plugins)


def with_options(route: Mapping[str, Any], installed: Sequence[str], plugins: Mapping[str, Plugin]) -> dict[str, Any]:
    """Return the schema of a route, whose options depend on its sink."""
    cases = [
        {
            "if": {"required": ["sink"], "properties": {"sink": {"const": name}}},
            "then": options_case(convert(plugin.sink.schema())),
        }
        for name, plugin in plugins.items()
        if plugin.sink
    ]
    sink = {**route["properties"]["sink"], **({"enum": installed} if installed else {})}
    return {**route, "type": "object", "properties": {**route["properties"], "sink": sink}, "allOf": cases}


def options_case(options: Mapping[str, Any]) -> dict[str, Any]:
    needs = bool(options.get("required"))
    schema = {**options, "type": "object" if needs else ["object", "null"]}
    return {"properties": {"options": schema}, **({"required": ["options"]} if needs else {})}
