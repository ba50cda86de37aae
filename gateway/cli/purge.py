"""The command purge."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gateway.cli import render
from gateway.cli.opening import read_config, run_on_store
from gateway.cli.options import config_option, duration, json_option
from gateway.cli.progress import progress_bar
from gateway.operate import views
from gateway.operate.purge import PurgeRequest, Removed, count_purgeable, purge_store
from gateway.store import Store


@click.command()
@config_option
@click.option("--older-than", metavar="TIME", callback=duration, help="Such as 30d. Default: store.retention.")
@click.option("--dead", is_flag=True, help="Also signals with dead letters; these can't be replayed afterwards.")
@click.option("--quarantine", is_flag=True, help="Also quarantined requests.")
@click.option("--dry-run", is_flag=True, help="Count the rows to remove, and change nothing.")
@json_option
def purge(
    config_path: Path, older_than: float | None, dead: bool, quarantine: bool, dry_run: bool, as_json: bool
) -> None:
    """Remove old signals that have ended, as the gateway itself does every hour.

    Pending deliveries stay at any age. Dead letters and quarantined requests stay unless you ask for them. The sender
    retries a signal for 7 days: a retry of a purged signal would be delivered again.
    """
    config = read_config(config_path)
    before = time.time() - (config.retention if older_than is None else older_than)
    request = PurgeRequest(before, dead, quarantine)
    removed = run_on_store(config, lambda store: run_purge(store, request, dry_run, hidden=as_json))
    if as_json:
        render.print_json([views.removed_json(removed, dry_run)])
    else:
        click.echo(in_words(removed, dry_run))


async def run_purge(store: Store, request: PurgeRequest, dry_run: bool, hidden: bool) -> Removed:
    """Count the rows; unless it is a dry run, remove them under a progress bar."""
    counted = await count_purgeable(store, request)
    if dry_run:
        return counted
    removed, total = Removed(), counted.signals + counted.quarantined
    with progress_bar("removing", total, hidden) as bar:
        async for removed in purge_store(store, request, time.time()):
            bar.show(removed.signals + removed.quarantined, total)
    return removed


def in_words(removed: Removed, dry_run: bool) -> str:
    signals = render.count(removed.signals, "signal")
    quarantined = render.count(removed.quarantined, "quarantined request")
    if dry_run:
        return f"{signals} and {quarantined} would be removed; nothing was changed."
    deliveries = "1 delivery" if removed.deliveries == 1 else f"{removed.deliveries} deliveries"
    return f"{signals} with {deliveries}, and {quarantined} removed."
