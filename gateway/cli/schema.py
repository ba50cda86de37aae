"""The command schema."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.options import config_option, find_given_config
from gateway.config.file_schema import dump_schema
from gateway.operate.schemas import make_schema, write_schemas


@click.command()
@config_option
@click.option("--tenant", is_flag=True, help="The schema of a tenant's file, not of the main file.")
@click.option("--write", is_flag=True, help="Write both beside the main file, where editors look for them.")
def schema(config_path: Path, tenant: bool, write: bool) -> None:
    """Print the JSON Schema of the configuration's files, for editors, with the options of the enabled plugins.

    Without a configuration, it has the options of all installed plugins.
    """
    if write:
        for path in write_schemas(config_path):
            click.echo(f"wrote {path}")
    else:
        click.echo(dump_schema(make_schema(find_given_config(config_path), tenant)), nl=False)
