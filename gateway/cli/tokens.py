"""The command tokens new."""

from __future__ import annotations

import json
import re

import click

from gateway import keys as hashing
from gateway.cli import render
from gateway.cli.options import json_option

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.@-]*")
"""A name that needs no quotes in YAML."""
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""Names that YAML would not read as text."""
DIGEST = re.compile(r"[0-9a-f]{64}")


@click.group()
def tokens() -> None:
    """Make tokens for the API of the admin listener."""


@tokens.command()
@click.option("--name", help="Who will use it; kept with each change. Default: its tenant, account or role.")
@click.option("--tenant", help="Only the accounts of this tenant.")
@click.option("--account", help="Only this account, and no changes but replays.")
@json_option
def new(name: str | None, tenant: str | None, account: str | None, as_json: bool) -> None:
    """Make a random token; print it with its line for the configuration. It may do everything, unless you narrow it."""
    if tenant and account:
        raise click.UsageError("name a tenant or an account, not both")
    if name and (len(name) > 64 or not name.isprintable()):
        raise click.UsageError("--name: expected at most 64 printable characters")
    role = "tenant" if tenant else "account" if account else "operator"
    token = hashing.new_token()
    entry = {"name": name or tenant or account or role, "sha256": hashing.hash_key(token).hex(), "role": role}
    scope = {"tenant": tenant} if tenant else {"account": account} if account else {}
    if as_json:
        render.print_json([{"token": token, "tenant": None, "account": None, **entry, **scope}])
        return
    click.echo(f"token:  {token}")
    click.echo(f"config: {config_line({**entry, **scope})}")
    click.echo(
        "Put its config line under `tokens:` of `admin:`, and reload. Programs send `Authorization: Bearer TOKEN`."
    )
    click.echo("It is not shown again.")


def config_line(entry: dict[str, str]) -> str:
    """Return an entry of the list of tokens, with its dash."""
    return f"- {{{', '.join(f'{name}: {quote(value)}' for name, value in entry.items())}}}"


def quote(text: str) -> str:
    """Return a text as YAML reads it: in quotes, unless it is a plain name or a digest."""
    is_plain = PLAIN.fullmatch(text) and text.lower() not in WORDS
    return text if is_plain or DIGEST.fullmatch(text) else json.dumps(text)
