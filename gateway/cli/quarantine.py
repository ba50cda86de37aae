"""Commands on quarantine: quarantine, quarantine show, quarantine replay."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from gateway.cli import progress, render
from gateway.cli.opening import read_config, run_on_store, with_store
from gateway.cli.options import config_option, json_option, limit_option, make_filter, time_window_options
from gateway.config import Config
from gateway.exact_json import to_text
from gateway.operate import views
from gateway.operate.lookups import Filter
from gateway.operate.quarantine import (
    Inspected,
    QuarantineRow,
    Verdict,
    inspect_quarantined,
    list_quarantine,
    replay_quarantine,
)
from gateway.store import Store


@click.group(invoke_without_command=True)
@config_option
@click.option("--account", help="An account's name.")
@click.option("--order", help="The vendor's order id or your order reference.")
@limit_option
@json_option
@click.pass_context
def quarantine(
    ctx: click.Context, config_path: Path, account: str | None, order: str | None, limit: int, as_json: bool
) -> None:
    """List, show or replay quarantined requests: the key was right, but the signal was not valid."""
    if ctx.invoked_subcommand:
        given = [name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            raise click.UsageError(f"give options behind the command: quarantine {ctx.invoked_subcommand} …")
        return
    which = Filter(account=account)
    rows = with_store(
        config_path, lambda store: list_quarantine(store, account, limit, order), which, despite_errors=True
    )
    if as_json:
        render.print_json(views.quarantine_json(row) for row in rows)
    else:
        render.print_table([quarantine_line(row) for row in rows], "Nothing in quarantine.")


@quarantine.command()
@click.argument("id", type=int)
@config_option
@json_option
def show(id: int, config_path: Path, as_json: bool) -> None:
    """Show one quarantined request: its whole body, what was wrong, and what a replay would say now."""
    config = read_config(config_path, despite_errors=True)
    found = run_on_store(config, lambda store: inspect_quarantined(store, config, id, datetime.now(UTC)))
    if as_json:
        render.print_json([views.inspected_json(found)])
    else:
        print_inspected(found)


@quarantine.command()
@click.argument("ids", type=int, nargs=-1)
@config_option
@click.option("--all", "everything", is_flag=True, help="Every request in quarantine.")
@click.option("--account", help="An account's name.")
@time_window_options
@click.option("--dry-run", is_flag=True, help="Print the verdicts, and change nothing.")
@json_option
def replay(
    ids: tuple[int, ...], config_path: Path, everything: bool, dry_run: bool, as_json: bool, **filters: Any
) -> None:
    """Re-submit quarantined requests, by IDS or filters, as if they had just arrived.

    Each is validated and routed by the present configuration. An accepted request leaves quarantine, and a running
    gateway delivers its signal. A refused one stays, with its present errors; then the exit code is 1.
    """
    if not (ids or everything or any(value is not None for value in filters.values())):
        raise click.UsageError("name the requests to replay: ids, --all, or a filter such as --account")
    config = read_config(config_path)
    which = make_filter(ids, **filters)
    verdicts, finished = run_on_store(
        config, lambda store: run_replay(store, config, which, dry_run, hidden=as_json), Filter(account=which.account)
    )
    if as_json:
        render.print_json(map(views.verdict_json, verdicts))
    else:
        print_verdicts(verdicts, dry_run)
    if not finished:
        click.echo("Interrupted; requests that were not reached are still in quarantine.", err=True)
        sys.exit(progress.INTERRUPTED)
    missing = sorted(set(ids) - {verdict.id for verdict in verdicts})
    for id in missing:
        click.echo(f"{id} is not in quarantine", err=True)
    if missing or any(verdict.result == "refused" for verdict in verdicts):
        sys.exit(1)


async def run_replay(
    store: Store, config: Config, which: Filter, dry_run: bool, hidden: bool
) -> tuple[list[Verdict], bool]:
    """Replay under a progress bar. Return the verdicts, and False if it was interrupted."""
    verdicts: list[Verdict] = []
    with progress.interruptible() as stop, progress.progress_bar("replaying", None, hidden) as bar:
        async for page in replay_quarantine(store, config, which, dry_run, stop):
            verdicts += page
            bar.show(len(verdicts), None)
        return verdicts, not stop.is_set()


# -- tables


def quarantine_line(row: QuarantineRow) -> dict[str, object]:
    return {
        "id": row.id,
        "received (UTC)": render.moment(row.received_at),
        "account": row.account,
        "wrong": list_errors(row.errors),
        "body": shorten(row.body),
    }


def shorten(body: str) -> str:
    return body if len(body) <= LISTED_BODY else f"{body[:LISTED_BODY]}…"


LISTED_BODY = 80
"""Characters of a body in the list; `quarantine show` has all."""


def print_inspected(found: Inspected) -> None:
    row, wrong = found.row, found.row.errors
    click.echo(f"Request {row.id} of {row.account}, received at {render.moment(row.received_at)} UTC, refused because:")
    for name, error in wrong.items():
        click.echo(f"  {render.show(name)}: {render.show(error)}")
    payload = found.payload
    click.echo(
        "\nBody, without the key" + ("; ! marks what was wrong" if payload is not None else ", is no JSON object")
    )
    if payload is None:
        click.echo(render.show(row.body))
    for name in dict.fromkeys([*(payload or ()), *(wrong if payload is not None else ())]):
        value = render.show(text_of((payload or {})[name])) if name in (payload or {}) else "(missing)"
        click.echo(f"{'!' if name in wrong else ' '} {render.show(name):20} {value}")
    click.echo("\nA replay would say now: " + in_words(found.verdict))
    if found.verdict.result != "refused":
        click.echo(f"Next: cloudsignal quarantine replay {row.id}")


def text_of(value: object) -> str:
    return '""' if value == "" else to_text(value)


def in_words(verdict: Verdict) -> str:
    if verdict.result == "refused":
        return f"refused: {list_errors(verdict.errors)}"
    return f"accepted, for {', '.join(verdict.routes) or 'no route'}"


def list_errors(errors: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {error}" for name, error in errors.items())


def print_verdicts(verdicts: Sequence[Verdict], dry_run: bool) -> None:
    render.print_table([verdict_line(verdict) for verdict in verdicts], "Nothing in quarantine matches.")
    if verdicts:
        counts = Counter(verdict.result for verdict in verdicts)
        accepted = "would be accepted; nothing was changed" if dry_run else "accepted"
        click.echo(
            f"{counts['duplicate']} already accepted, {counts['refused']} refused, {counts['accepted']} {accepted}."
        )


def verdict_line(verdict: Verdict) -> dict[str, object]:
    about = {
        "accepted": ", ".join(verdict.routes) or "no route asks for it",
        "duplicate": "the sender's own retry was accepted",
        "refused": list_errors(verdict.errors),
    }
    return {
        "id": verdict.id,
        "account": verdict.account,
        "result": "accepted, held: order unknown" if verdict.held else verdict.result,
        "signal": verdict.signal,
        "routes, or what is wrong": about[verdict.result],
    }
