"""The command that writes signals of the past to a file, as a sink's files are written."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import click
import voluptuous as vol
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gateway.cli.opening import run_on_store
from gateway.cli.options import config_option, filter_options, make_filter
from gateway.cli.progress import progress_bar
from gateway.config import Config, load_config
from gateway.errors import GatewayError
from gateway.sink import FileFormat, Sink
from gateway.store.contract import Store
from gateway.store.values import Filter

PAGE = 1000
"""Signals read at once: what bounds memory."""

Writable = IO[bytes] | gzip.GzipFile


@click.command()
@config_option
@filter_options
@click.option("--like", metavar="ACCOUNT/ROUTE", help="Write as the files of this route are written.")
@click.option(
    "--set", "given", metavar="OPTION=VALUE", multiple=True, help="An option of the sink, such as delimiter=tab."
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; else to standard output.")
@click.option("--gzip", "packed", is_flag=True, help="Compress it.")
def export(
    config_path: Path, like: str | None, given: Sequence[str], output: Path | None, packed: bool, **filters: Any
) -> None:
    """Write accepted signals as a CSV file, oldest first.

    The same window of the past gives the same bytes each time. A file is there whole, or not at all.
    """
    config = load_config(config_path)
    file_format = choose_format(config, like, dict(map(parse_option, given)))
    which = make_filter(**filters)
    # Without an end, those that come meanwhile would keep it going.
    which = dataclasses.replace(which, until=time.time() if which.until is None else which.until)
    with open_output(output) as raw, squeeze(raw, packed) as file:
        count = run_on_store(config, lambda store: write_signals(store, which, file_format, file), which)
    click.echo(f"{count} signals written{f' to {output}' if output else ''}.", err=True)


async def write_signals(store: Store, which: Filter, file_format: FileFormat, file: Writable) -> int:
    """Write the header and those that match, page by page; how many."""
    after = written = 0
    with progress_bar("writing", await store.count_signals(which)) as bar:
        file.write(file_format.header())
        while page := await store.list_signals_after(which, after, PAGE):
            file.write(file_format.rows(page))
            after = page[-1].id
            written += len(page)
            bar.advance(len(page))
    return written


# -- the format


def choose_format(config: Config, like: str | None, given: Mapping[str, Any]) -> FileFormat:
    """The format of a route's sink, or of the first sink enabled that has one, with the options given."""
    sink, options = find_route(config, like) if like else (find_sink(config), {})
    schema = vol.Schema(dict(sink.file_options))
    try:
        checked = schema(dict(given))
    except vol.MultipleInvalid as error:
        texts = (f"{'.'.join(map(str, each.path))}: {each.msg}" for each in error.errors)
        raise click.BadParameter("; ".join(texts), param_hint="--set") from None
    made = sink.file_format({**checked, **options, **{name: checked[name] for name in given}})
    if made is None:
        raise GatewayError(f"the sink {sink.name} writes no files")
    return made


def find_route(config: Config, like: str) -> tuple[type[Sink], Mapping[str, Any]]:
    """The sink of a route named account/route, and the route's options for files."""
    account, _, name = like.partition("/")
    route = config.accounts[account].routes.get(name) if account in config.accounts else None
    if route is None:
        raise click.BadParameter("expected an account's route, as in bookshop/export", param_hint="--like")
    sink = config.loaded[route.sink].sink
    assert sink is not None  # else the config had not been loaded
    return sink, {str(name): route.options[str(name)] for name in sink.file_options}


def find_sink(config: Config) -> type[Sink]:
    for plugin in config.loaded.values():
        if plugin.sink and plugin.sink.file_options:
            return plugin.sink
    raise GatewayError("no sink is enabled that writes files: add csv to plugins")


def parse_option(text: str) -> tuple[str, Any]:
    """`name=value`, the value as the configuration has it; what is no list, mapping or flag is text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter("expected OPTION=VALUE", param_hint="--set")
    if not value.startswith(("[", "{")) and value not in ("true", "false"):
        return name, value
    yaml = YAML(typ="safe", pure=True)
    try:
        return name, yaml.load(value)
    except YAMLError:
        raise click.BadParameter(f"{name}: no good YAML", param_hint="--set") from None


# -- the file


@contextlib.contextmanager
def open_output(path: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that gets its name once it is whole. GatewayError where it can't be written."""
    if path is None:
        yield sys.stdout.buffer
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise GatewayError(f"{path} can't be written: {error.strerror or type(error).__name__}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def squeeze(file: IO[bytes], packed: bool) -> Iterator[Writable]:
    """The file, or what compresses into it; with no time in it, so that the same rows give the same bytes."""
    if not packed:
        yield file
        return
    with gzip.GzipFile("", "wb", 6, file, mtime=0) as squeezed:
        yield squeezed


COMMANDS = (export,)
