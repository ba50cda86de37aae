"""The command line. Exit codes: 0 ok, 1 wrong configuration or data, 2 wrong usage, 130 interrupted."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from gateway import __version__
from gateway.cli import (
    accounts,
    audit,
    backup,
    check,
    database,
    deliveries,
    export,
    keys,
    orders,
    output,
    pending,
    plugins,
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

CLOSED_TO_OTHERS = 0o027
"""Added to the process's umask: new files have 0640 at most and folders 0750, for they hold clients' data."""


class Commands(click.Group):
    """Print a GatewayError of any command to stderr and exit with code 1, and so for output that fails."""

    def main(self, *args: Any, **options: Any) -> Any:
        output.prepare_streams()
        with output.failures_told():
            return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            click.echo(str(error), err=True)
            sys.exit(1)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List each command with its whole first sentence, which click would cut."""
        commands = [(name, self.commands[name].get_short_help_str(limit=1000)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(commands)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of COMMANDS, not of the alphabet."""
        return list(self.commands)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cloudsignal")
def main() -> None:
    """CloudSignal Gateway: takes Cloudprinter's signals into custody and delivers them to your sinks."""
    os.umask(os.umask(0) | CLOSED_TO_OTHERS)


COMMANDS = (
    serve.serve,
    check.check,
    check.init,
    reload.reload,
    simulate.simulate,
    signals.signals,
    signals.show,
    signals.explain,
    deliveries.deliveries,
    deliveries.dead,
    pending.retry,
    pending.skip,
    replay.replay,
    routes.routes,
    routes.pause,
    routes.resume,
    pending.probe,
    accounts.accounts,
    orders.orders,
    quarantine.quarantine,
    export.export,
    audit.audit,
    backup.backup,
    backup.restore,
    purge.purge,
    accounts.forget,
    database.migrate,
    database.move,
    plugins.plugins,
    keys.keys,
)
"""Every command, in the order in which --help lists them. A module is named for the commands' noun."""

for command in COMMANDS:
    main.add_command(command)
