"""Commands for Webhook API keys."""

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
    """Make a random key, and print it with the line that the config needs."""
    key = hashing.new_key()
    if as_json:
        render.print_json([{"key": key, "sha256": hashing.hash_key(key).hex()}])
        return
    click.echo(f"key:    {key}")
    click.echo(f"config: {{sha256: {hashing.hash_key(key).hex()}}}")
    click.echo("Enter the key at Cloudprinter; put the config line under the account's keys. It is not shown again.")


@keys.command("hash")
@click.option("--key", help="The key; where it is not given, read from standard input or asked for without echo.")
@json_option
def hash_(key: str | None, as_json: bool) -> None:
    """Print the config line for a key that exists."""
    text = read_key() if key is None else key
    if not text:
        raise click.UsageError("the key is empty")
    digest = hashing.hash_key(text).hex()
    if as_json:
        render.print_json([{"sha256": digest}])
    else:
        click.echo(f"{{sha256: {digest}}}")


def read_key() -> str:
    """From a terminal without echo, from a pipe its first line."""
    if sys.stdin.isatty():
        return str(click.prompt("Key", hide_input=True))
    return sys.stdin.readline().rstrip("\r\n")


COMMANDS = (keys,)
