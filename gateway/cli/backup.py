"""The commands backup and restore."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from gateway.cli import progress, render
from gateway.cli.opening import read_config
from gateway.cli.options import config_option, json_option
from gateway.operate import views
from gateway.operate.backup import Copied, back_up
from gateway.operate.backup import restore as restore_store

file_argument = click.argument("file", type=click.Path(path_type=Path))


@click.command()
@file_argument
@config_option
@click.option("--force", is_flag=True, help="Replace FILE if it is there already.")
@json_option
def backup(file: Path, config_path: Path, force: bool, as_json: bool) -> None:
    """Write a whole and checked copy of the store to FILE, beside a running gateway.

    The file appears once it is complete: its pages are sound, and each of its signals is accounted for. A PostgreSQL
    store has tools of its own; the command prints the line to type.
    """
    config = read_config(config_path, despite_errors=True)
    copied = run("copying", as_json, lambda tell: back_up(config, file.expanduser(), force, tell))
    if as_json:
        render.print_json([views.copied_json(copied)])
    else:
        click.echo(f"{copied.file}: {in_words(copied)}")
    exit_if_wrong(copied)


@click.command()
@file_argument
@config_option
@json_option
def restore(file: Path, config_path: Path, as_json: bool) -> None:
    """Put the backup FILE in the place of the store, which is kept under another name. Stop the gateway first.

    The backup is checked before anything is changed. Signals that were accepted after the backup are not in it.
    """
    config = read_config(config_path, despite_errors=True)
    copied = run("restoring", as_json, lambda tell: restore_store(config, file.expanduser(), tell))
    if as_json:
        render.print_json([views.copied_json(copied)])
    else:
        click.echo(f"{copied.file}: restored, {in_words(copied)}")
        if copied.kept:
            click.echo(f"The store that was there is now {copied.kept}. It may have signals that the backup lacks.")
    exit_if_wrong(copied)


def run(label: str, hidden: bool, work: Callable[[Callable[[int, int], None]], Copied]) -> Copied:
    """Copy under a progress bar. After Ctrl-C, exit; nothing was changed."""
    try:
        with progress.progress_bar(label, None, hidden) as bar:
            return work(bar.show)
    except KeyboardInterrupt:
        click.echo("Interrupted; nothing was changed.", err=True)
        sys.exit(progress.INTERRUPTED)


def in_words(copied: Copied) -> str:
    signals = render.count(copied.findings.signals, "signal")
    rest = ", and each is accounted for" if copied.findings.ok else ""
    return f"{signals}{rest}; {copied.size:,} bytes."


def exit_if_wrong(copied: Copied) -> None:
    """Exit with 1 if the copy has errors of custody: they were in the store that was copied."""
    if not copied.findings.ok:
        click.echo("Not every signal is accounted for: `cloudsignal audit` names them.", err=True)
        sys.exit(1)
