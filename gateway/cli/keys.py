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
@json_option
def new(as_json: bool) -> None:
    """Make a random key; print it with its line for the configuration."""
    key = hashing.new_key()
    if as_json:
        render.print_json([{"key": key, "sha256": hashing.hash_key(key).hex()}])
        return
    click.echo(f"key:    {key}")
    click.echo(f"config: {{sha256: {hashing.hash_key(key).hex()}}}")
    click.echo("Enter the key at Cloudprinter; put the config line under the account's keys. It is not shown again.")


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
        click.echo(f"{{sha256: {digest}}}")


def read_key() -> str:
    """Read a key: from a terminal without echo, or the first line of a pipe."""
    if sys.stdin.isatty():
        return str(click.prompt("Key", hide_input=True))
    try:
        return sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.UsageError("the key is not UTF-8 text") from None
