"""The command schema, and init with its schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.operate.schemas import make_schema
from tests.support.folder import Folder


def sinks(schema: Mapping[str, Any]) -> list[str]:
    """Return the sinks whose options a schema has."""
    return [case["if"]["properties"]["sink"]["const"] for case in schema["definitions"]["route"]["allOf"]]


def test_the_schema_has_the_options_of_enabled_plugins(folder: Folder) -> None:
    schema = json.loads(folder.run("schema").output)
    assert sinks(schema) == ["csv"]
    assert "odoo" in schema["properties"]["plugins"]["anyOf"][0]["items"]["enum"]
    (case,) = schema["definitions"]["route"]["allOf"]
    assert case["then"]["required"] == ["options"]
    options = case["then"]["properties"]["options"]
    assert options["required"] == ["directory"]
    assert options["properties"]["delimiter"]["default"] == ","
    assert options["properties"]["delimiter"]["description"].startswith("The text between values")


def test_without_a_configuration_it_has_all_plugins() -> None:
    assert {"csv", "slack"} <= {*sinks(make_schema(None, tenant=True))}


def test_the_starter_names_its_schemas(folder: Folder) -> None:
    folder.run("init", "new")
    for file in (Path("new/gateway.yaml"), Path("new/tenants/my-company.yaml")):
        first = file.read_text().splitlines()[0]
        named = file.parent / first.removeprefix("# yaml-language-server: $schema=")
        assert json.loads(named.read_text())["$schema"].startswith("http://json-schema.org/draft-07")


def test_the_schemas_are_written_beside_the_main_file(folder: Folder) -> None:
    assert folder.run("schema", "--write").output == "wrote gateway.schema.json\nwrote tenant.schema.json\n"
    (folder.path / "tenant.schema.json").write_text("old")
    folder.run("schema", "--write")
    assert json.loads((folder.path / "tenant.schema.json").read_text())["required"] == ["tenant"]
