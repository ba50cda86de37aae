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
COMMENT = "Made by `cloudsignal schema --write`. Make it again after a change of `plugins` or of the gateway's version."
NAMED = {path: path.partition(".<")[2][:-1] for path in SECTIONS if path.endswith(">")}
"""Sections of entries that have names of their own, with the kind of entry: "routes.<route>" has routes."""


def file_schemas(installed: Iterable[str], plugins: Mapping[str, Plugin]) -> Mapping[str, Mapping[str, Any]]:
    """Return the schemas by file name. `plugins` are those whose options are known."""
    names = sorted(installed)
    main, tenant, account = convert(MAIN_SCHEMA), convert(TENANT_SCHEMA), convert(ACCOUNT_SCHEMA)
    main["properties"]["plugins"] = only_installed(main["properties"]["plugins"], names)
    tenant.update(type="object", required=["tenant"])
    definitions = {"account": account}
    for path, kind in NAMED.items():
        if kind != "account":
            definitions[kind] = convert(vol.Schema(section(SECTIONS[path])))
            definitions[f"account-{kind}"] = unless_switched_off(kind)
    definitions["route"] = with_options(definitions["route"], names, plugins)
    nest(main, "{}")
    nest(tenant, "{}")
    nest(account, "account-{}")
    return {
        name: {"$schema": DRAFT, "title": title, "$comment": COMMENT, **schema, "definitions": definitions}
        for name, title, schema in (
            (MAIN_FILE, "CloudSignal Gateway: the main file", main),
            (TENANT_FILE, "CloudSignal Gateway: a tenant's file", tenant),
        )
    }


def dump_schema(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def unless_switched_off(kind: str) -> dict[str, Any]:
    """Return the schema of an account's entry, which may be there only to switch off the tenant's."""
    return {
        "if": {"type": "object", "required": ["enabled"], "maxProperties": 1},
        "then": {"properties": {"enabled": {"const": False}}},
        "else": {"$ref": f"#/definitions/{kind}"},
    }


def nest(owner: Mapping[str, Any], entry: str) -> None:
    """Put the definitions of named entries into an owner's properties, such as that of a route into `routes`."""
    for path, kind in NAMED.items():
        if found := owner["properties"].get(path.partition(".")[0]):
            found["propertyNames"] = {"pattern": f"^{NAME.pattern}$"}
            found["additionalProperties"] = {"$ref": f"#/definitions/{entry.format(kind)}"}


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
