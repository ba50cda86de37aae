"""The command line. Exit codes: 0 ok, 1 the config or the data is wrong, 2 wrong usage."""

from __future__ import annotations

import sys

import click

from gateway import __version__
from gateway.cli import (
    audit,
    database,
    explain,
    export,
    keys,
    purge,
    quarantine,
    reload,
    replay,
    routes,
    serve,
    signals,
    simulate,
)
from gateway.errors import GatewayError


class Commands(click.Group):
    """Ends every command's GatewayError with its message on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            click.echo(str(error), err=True)
            sys.exit(1)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each with its whole first sentence, where click would cut it."""
        commands = [(name, self.commands[name].get_short_help_str(limit=1000)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(commands)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of use, not of the alphabet."""
        return list(self.commands)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cloudsignal")
def main() -> None:
    """CloudSignal Gateway: takes Cloudprinter's signals into custody and delivers them to your sinks."""


for module in (
    serve,
    reload,
    simulate,
    signals,
    explain,
    quarantine,
    export,
    routes,
    replay,
    audit,
    purge,
    database,
    keys,
):
    for command in module.COMMANDS:
        main.add_command(command)
