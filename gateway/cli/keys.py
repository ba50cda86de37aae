"""Commands on Webhook API keys: keys new, keys hash."""

from __future__ import annotations

import sys

import click

from gateway import keys as hashing
from gateway.cli import render
from gateway.cli.options import json_option


@click.group()
def keys() -> None:
    """Make and hash Webhook API keys."""


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
