"""The command replay."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from gateway.cli import progress, render
from gateway.cli.opening import with_store
from gateway.cli.options import config_option, filter_options, json_option, make_filter
from gateway.operate import views
from gateway.operate.lookups import Filter
from gateway.operate.replay import Plan, Replayed, count_replay, plan_replay, replay_deliveries
from gateway.store import Store


@click.command()
@click.argument("signal_ids", type=int, nargs=-1)
@config_option
@filter_options
@click.option("--dead", "only_dead", is_flag=True, help="Only dead letters.")
@click.option("--again", is_flag=True, help="By signal id: also routes where the signal was delivered.")
@click.option("--after", type=int, help="Only signals with a higher id: to continue an interrupted replay.")
@click.option("--dry-run", is_flag=True, help="Count the deliveries per route, and change nothing.")
@json_option
def replay(
    signal_ids: tuple[int, ...],
    config_path: Path,
    only_dead: bool,
    again: bool,
    dry_run: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """Repeat deliveries that have ended: by signal id, or by filters.

    By signal id, routes where the signal was delivered are left out, unless you name the --route or say --again.
    Pending deliveries are left alone, see `retry`.

    A running gateway starts within seconds. Live signals go first: replays get at most a quarter of a route. Ctrl-C
    ends the replay between two pages and prints how to continue.
    """
    if not (signal_ids or only_dead or any(value is not None for value in filters.values())):
        raise click.UsageError("name the deliveries to replay: signal ids, --dead, or a filter such as --account")
    which = make_filter(signal_ids, state="dead" if only_dead else None, **filters)
    done = with_store(config_path, lambda store: run_replay(store, which, again, dry_run, quiet=as_json), which)
    if as_json:
        render.print_json(views.replayed_json(done, dry_run))
    else:
        print_replayed(done, dry_run)
    progress.exit_if_stopped(done.stopped_at)


async def run_replay(store: Store, which: Filter, again: bool, dry_run: bool, quiet: bool) -> Replayed:
    """Replay or count under a progress bar, until done or interrupted. If `quiet`, show nothing."""
    plan = await plan_replay(store, which, again)
    if not quiet:
        tell_left_alone(plan)
    done = Replayed()
    with progress.interruptible() as stop, progress.progress_bar("replaying", 1, quiet) as bar:
        count, repeat = count_replay(store, plan.which, stop), replay_deliveries(store, plan.which, time.time(), stop)
        async for done in count if dry_run else repeat:
            bar.show(done.done, done.total)
    return done


def tell_left_alone(plan: Plan) -> None:
    """Say which deliveries of the named signals are not repeated, and what can be done about them."""
    for row in plan.delivered:
        repeat = f"cloudsignal replay {row.signal_id} --route {row.route}"
        click.echo(f"signal {row.signal_id} was delivered on {row.route}; `{repeat}` repeats it", err=True)
    for row in plan.pending:
        now = f"cloudsignal retry {row.signal_id} --route {row.route}"
        click.echo(f"signal {row.signal_id} is pending on {row.route}; `{now}` tries it now", err=True)


def print_replayed(done: Replayed, dry_run: bool) -> None:
    rows = [
        {"account": account, "route": route, "deliveries": number}
        for (account, route), number in sorted(done.found.items())
    ]
    render.print_table(rows, "Nothing matches.")
    if rows:
        ending = "would be replayed; nothing was changed" if dry_run else "to be delivered again"
        click.echo(f"{done.deliveries} {ending}.")
