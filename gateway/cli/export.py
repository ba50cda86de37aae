"""The command export."""

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
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gateway.cli import output
from gateway.cli.opening import read_config, run_on_store
from gateway.cli.options import config_option, filter_options, make_filter
from gateway.cli.progress import progress_bar
from gateway.config import Config
from gateway.errors import GatewayError
from gateway.operate.export import InvalidOptions, UnknownRoute, choose_format, export_signals
from gateway.operate.lookups import Filter
from gateway.sink import FileFormat
from gateway.store import Store

Writable = IO[bytes] | gzip.GzipFile


@click.command()
@config_option
@filter_options
@click.option("--like", metavar="ACCOUNT/ROUTE", help="Use the file format of this route.")
@click.option(
    "--set", "given", metavar="OPTION=VALUE", multiple=True, help="An option of the sink, such as delimiter=tab."
)
@click.option(
    "--output", "path", type=click.Path(path_type=Path, dir_okay=False), help="A file. Default: standard output."
)
@click.option("--gzip", "packed", is_flag=True, help="Compress the file.")
def export(
    config_path: Path, like: str | None, given: Sequence[str], path: Path | None, packed: bool, **filters: Any
) -> None:
    """Write accepted signals as a CSV file, oldest first.

    The same window of the past gives the same bytes each time. The file appears once it is complete.
    """
    config = read_config(config_path, despite_errors=True)
    file_format = read_format(config, like, dict(map(parse_option, given)))
    which = make_filter(**filters)
    which = dataclasses.replace(which, until=time.time() if which.until is None else which.until)
    with open_output(path) as raw, compress(raw, packed) as file:
        count = run_on_store(config, lambda store: write_signals(store, which, file_format, file), which)
    click.echo(f"{count} signals written{f' to {path}' if path else ''}.", err=True)


async def write_signals(store: Store, which: Filter, file_format: FileFormat, file: Writable) -> int:
    """Write the file under a progress bar. Return the number of signals in it."""
    done = 0
    with progress_bar("writing", None) as bar:
        async for page in export_signals(store, which, file_format):
            file.write(page.content)
            done = page.done
            bar.show(page.done, page.total)
    return done


# -- the format


def read_format(config: Config, like: str | None, options: Mapping[str, Any]) -> FileFormat:
    """Return the format that the command line asks for. Raises click.BadParameter if it asks for a wrong one."""
    try:
        return choose_format(config, like, options)
    except UnknownRoute as error:
        raise click.BadParameter(str(error), param_hint="--like") from None
    except InvalidOptions as error:
        raise click.BadParameter(str(error), param_hint="--set") from None


def parse_option(text: str) -> tuple[str, Any]:
    """Return the name and the value of `name=value`. Lists, mappings and flags are read as YAML, others as text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter("expected OPTION=VALUE", param_hint="--set")
    if not value.startswith(("[", "{")) and value not in ("true", "false"):
        return name, value
    yaml = YAML(typ="safe", pure=True)
    try:
        return name, yaml.load(value)
    except YAMLError:
        raise click.BadParameter(f"{name}: not valid YAML", param_hint="--set") from None


# -- the file


@contextlib.contextmanager
def open_output(path: Path | None) -> Iterator[IO[bytes]]:
    """Open standard output, or a file that gets its name once it is whole. Raises GatewayError on an error."""
    if path is None:
        with output.failure_named():
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise GatewayError(f"{path} can't be written: {error.strerror or type(error).__name__}") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def compress(file: IO[bytes], packed: bool) -> Iterator[Writable]:
    """Give the file, or a compressor into it. Its header has no time, so that equal rows give equal bytes."""
    if not packed:
        yield file
        return
    with gzip.GzipFile("", "wb", 6, file, mtime=0) as compressed:
        yield compressed
