"""Commands for Webhook API keys."""

from __future__ import annotations

import click

from gateway import keys as hashing


@click.group()
def keys() -> None:
    """Make and hash Webhook API keys."""


@keys.command()
def new() -> None:
    """Make a random key, and print it with the line that the config needs."""
    key = hashing.new_key()
    click.echo(f"key:    {key}")
    click.echo(f"config: {{sha256: {hashing.hash_key(key).hex()}}}")
    click.echo("Enter the key at Cloudprinter; put the config line under the account's keys. It is not shown again.")


@keys.command("hash")
@click.option("--key", prompt="Key", hide_input=True, help="The key; asked for without echo where it is not given.")
def hash_(key: str) -> None:
    """Print the config line for a key that exists."""
    click.echo(f"{{sha256: {hashing.hash_key(key).hex()}}}")


COMMANDS = (keys,)
