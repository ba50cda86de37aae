"""Makes the JSON Schemas of the configuration's files, for editors, and writes them beside the main file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.config import load_enabled
from gateway.config.file_schema import MAIN_FILE, TENANT_FILE, dump_schema, file_schemas
from gateway.config.starter import replace_file
from gateway.sink.registry import installed_plugins, load_plugins


def make_schemas(config_path: Path | None) -> Mapping[str, Mapping[str, Any]]:
    """Return the schemas by file name, with the options of the plugins that the configuration enables.

    Without a configuration, with those of all installed plugins. Raises ConfigError if the file can't be read.
    """
    installed = installed_plugins()
    return file_schemas(installed, load_enabled(config_path) if config_path else load_plugins(installed))


def make_schema(config_path: Path | None, tenant: bool) -> Mapping[str, Any]:
    """Return the schema of the main file, or of a `tenant`'s file."""
    return make_schemas(config_path)[TENANT_FILE if tenant else MAIN_FILE]


def write_schemas(config_path: Path) -> list[Path]:
    """Write the schemas beside the main file, and return their paths. Raises GatewayError if that fails."""
    paths = []
    for name, schema in make_schemas(config_path).items():
        paths.append(config_path.parent / name)
        replace_file(paths[-1], dump_schema(schema))
    return paths
