"""Commands on Webhook API keys: keys new, keys hash, keys rotate."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from gateway import keys as hashing
from gateway.cli import render
from gateway.cli.editing import carry_out, edit_options
from gateway.cli.opening import read_config
from gateway.cli.options import config_option, duration, json_option
from gateway.operate.account_edits import prepare_rotation


@click.group()
def keys() -> None:
    """Make, hash and rotate Webhook API keys."""


@keys.command()
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="Keys to make.")
@json_option
def new(count: int, as_json: bool) -> None:
    """Make random keys; print each with its line for the configuration."""
    made = [hashing.new_key() for _ in range(count)]
    if as_json:
        render.print_json({"key": key, "sha256": hashing.hash_key(key).hex()} for key in made)
        return
    for key in made:
        click.echo(f"key:    {key}")
        click.echo(f"config: {config_line(hashing.hash_key(key).hex())}")
    those = "the key" if count == 1 else "each key"
    click.echo(
        f"Enter {those} at Cloudprinter; put its config line under the account's `keys:`. It is not shown again."
    )


def config_line(digest: str) -> str:
    """Return an entry of an account's list of keys, with its dash."""
    return f"- {{sha256: {digest}}}"


@keys.command("hash")
@click.option("--key", help="The key. Default: read from standard input, or asked for without echo.")
@json_option
def hash_(key: str | None, as_json: bool) -> None:
    """Print the configuration line for an existing key."""
    text = read_key() if key is None else key
    if not text:
        raise click.UsageError("the key is empty")
    if fault := hashing.find_fault(text):
        raise click.UsageError(fault)
    digest = hashing.hash_key(text).hex()
    if as_json:
        render.print_json([{"sha256": digest}])
    else:
        click.echo(config_line(digest))


def read_key() -> str:
    """Read a key: from a terminal without echo, or the first line of a pipe."""
    if sys.stdin.isatty():
        return str(click.prompt("Key", hide_input=True))
    try:
        return sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.UsageError("the key is not UTF-8 text") from None


@keys.command()
@click.argument("account")
@click.option(
    "--overlap",
    callback=duration,
    default="7d",
    show_default=True,
    help="Time after which the keys before it end, such as 7d: the vendor repeats a signal with its key for 7 days.",
)
@config_option
@edit_options
@json_option
def rotate(account: str, overlap: float, config_path: Path, as_json: bool, **how: bool) -> None:
    """Give an account a new key beside its old ones, which get an end; print the key and the URL for Cloudprinter.

    The file keeps its comments. Keys that have ended are removed from it.
    """
    now = datetime.now(UTC)
    prepared = prepare_rotation(read_config(config_path), account, timedelta(seconds=overlap), now)
    carry_out(prepared, as_json=as_json, **how)
