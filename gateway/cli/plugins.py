"""The command plugins."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from gateway.cli import render
from gateway.cli.options import config_option, json_option
from gateway.operate import views
from gateway.operate.plugins import list_plugins


@click.command()
@config_option
@json_option
def plugins(config_path: Path, as_json: bool) -> None:
    """List the installed sinks: which are enabled, and why a broken one could not be loaded.

    It needs no configuration: without one, none is enabled.
    """
    given = click.get_current_context().get_parameter_source("config_path") is not ParameterSource.DEFAULT
    path = config_path if given or config_path.exists() else None
    rows = [views.plugin_json(row) for row in list_plugins(path)]
    if as_json:
        render.print_json(rows)
    else:
        render.print_table(rows, "No sinks are installed.")
