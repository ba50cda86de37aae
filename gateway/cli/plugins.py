"""The command plugins."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.cli import render
from gateway.cli.options import config_option, find_given_config, json_option
from gateway.operate import views
from gateway.operate.plugins import PluginPage, list_plugins, make_page

WIDTH = 100
"""Columns of a page."""


@click.command()
@click.argument("name", required=False)
@config_option
@json_option
def plugins(name: str | None, config_path: Path, as_json: bool) -> None:
    """List the installed sinks: which are enabled, and why a broken one could not be loaded. Or print the page of one.

    The page has the options with meaning and default, the signals and a sample route. No configuration is needed:
    without one, no sink is enabled.
    """
    if name is not None:
        page = make_page(name)
        if as_json:
            render.print_json([views.plugin_page_json(page)])
        else:
            click.echo("\n".join(in_lines(page)))
        return
    rows = [views.plugin_json(row) for row in list_plugins(find_given_config(config_path))]
    if as_json:
        render.print_json(rows)
    else:
        render.print_table(rows, "No sinks are installed.")


def in_lines(page: PluginPage) -> Iterator[str]:
    """Yield the lines of a plugin's page."""
    yield f"{page.name}: {page.summary} ({page.source})"
    yield ""
    yield from wrap(f"Signals by default: {', '.join(page.signals)}.", "")
    in_order = "those of one order in sequence" if page.order == "lane" else "in any order"
    yield f"Deliveries: {page.concurrency} at a time, {in_order}."
    yield ""
    yield "Options:" if page.options else "It has no options."
    for option in page.options:
        default = option.default.replace("\n", "\\n")
        yield from wrap(option.name + (f" ({default})" if default else ""), "  ")
        yield from wrap(option.meaning.replace("\\|", "|"), "      ")
    yield ""
    yield "A sample, below `routes:` of an account or a tenant:"
    yield ""
    yield textwrap.indent(page.sample, "  ")


def wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
