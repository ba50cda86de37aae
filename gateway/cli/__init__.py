"""The command line: one file a noun. Exit codes: 0 ok, 1 wrong configuration or data, 2 wrong usage, 130 interrupted.

Helpers of several commands: editing, event_loop, hang_ups, opening, options, output, progress, render, table, workers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import click

from gateway import __version__
from gateway.cli import (
    accounts,
    actions,
    alerts,
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
    schema,
    serve,
    signals,
    simulate,
    tokens,
)
from gateway.errors import GatewayError
from gateway.logs import set_up_command_logs

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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands and (near := get_close_matches(args[0], self.commands, 1)):
            ctx.fail(f"no such command {args[0]!r}; did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands of each group with their whole first sentence, which click would cut."""
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(each.name or "", each.get_short_help_str(limit=1000)) for each in commands])

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of GROUPS, not of the alphabet."""
        return list(self.commands)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cloudsignal")
def main() -> None:
    """CloudSignal Gateway: takes Cloudprinter's signals into custody and delivers them to your sinks."""
    os.umask(os.umask(0) | CLOSED_TO_OTHERS)
    set_up_command_logs()


GROUPS: Mapping[str, Sequence[click.Command]] = {
    "Set up": (check.init, check.check, keys.keys, tokens.tokens, plugins.plugins, schema.schema),
    "Run": (serve.serve, reload.reload, simulate.simulate),
    "Look": (
        signals.signals,
        signals.show,
        signals.explain,
        deliveries.deliveries,
        deliveries.dead,
        quarantine.quarantine,
        routes.routes,
        alerts.alerts,
        accounts.accounts,
        actions.actions,
        audit.audit,
        export.export,
    ),
    "Mend": (
        pending.retry,
        replay.replay,
        pending.skip,
        pending.probe,
        routes.pause,
        routes.resume,
        orders.orders,
    ),
    "Maintain": (
        backup.backup,
        backup.restore,
        purge.purge,
        accounts.forget,
        database.migrate,
        database.move,
    ),
}
"""Every command, in the groups and in the order in which --help lists them. A module is named for its noun."""

for command in (command for group in GROUPS.values() for command in group):
    main.add_command(command)
