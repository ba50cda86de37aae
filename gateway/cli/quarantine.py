"""Commands for requests that had a right key but were no valid signal: quarantine, quarantine replay."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import click
from click.core import ParameterSource

from gateway.cli import progress, render
from gateway.cli.opening import run_on_store, with_store
from gateway.cli.options import config_option, json_option, limit_option, time
from gateway.config import Config, load_config
from gateway.errors import InvalidSignal
from gateway.ingest import Ingest, parse_quarantined
from gateway.store.contract import Store
from gateway.store.values import Filter, QuarantineRow

PAGE = 100
"""Requests put through ingest at once."""


@click.group(invoke_without_command=True)
@config_option
@click.option("--account", help="An account's name.")
@limit_option
@json_option
@click.pass_context
def quarantine(ctx: click.Context, config_path: Path, account: str | None, limit: int, as_json: bool) -> None:
    """List requests that had a right key but were no valid signal, with what was wrong; or replay them."""
    if ctx.invoked_subcommand:
        given = [name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            raise click.UsageError(f"give options behind the command: quarantine {ctx.invoked_subcommand} …")
        return
    rows = with_store(config_path, lambda store: store.list_quarantined(account, limit), Filter(account=account))
    if as_json:
        render.print_json(row_json(row) for row in rows)
    else:
        render.print_table([row_line(row) for row in rows], "Nothing in quarantine.")


def row_json(row: QuarantineRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "account": row.account,
        "received_at": render.iso(row.received_at),
        "errors": row.errors,
        "body": row.body,
    }


def row_line(row: QuarantineRow) -> dict[str, object]:
    return {
        "id": row.id,
        "received (UTC)": render.moment(row.received_at),
        "account": row.account,
        "wrong": wrong(row.errors),
        "body": row.body[:80],
    }


def wrong(errors: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {error}" for name, error in errors.items())


# -- replay


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a request: the signal it was accepted as (None: a duplicate, or a dry run), or what is wrong.
    It does not hold the body, as there may be many."""

    id: int
    account: str
    result: Literal["accepted", "duplicate", "refused"]
    signal: int | None = None
    held: bool = False
    routes: Sequence[str] = ()
    errors: Mapping[str, str] = field(default_factory=dict)


@quarantine.command()
@click.argument("ids", type=int, nargs=-1)
@config_option
@click.option("--all", "everything", is_flag=True, help="All that is in quarantine.")
@click.option("--account", help="An account's name.")
@click.option("--since", type=time, help="Received at this time or later.")
@click.option("--until", type=time, help="Received before this time (ISO 8601, or 12h for so long ago).")
@click.option("--dry-run", is_flag=True, help="Say what would be accepted, and change nothing.")
@json_option
def replay(
    ids: tuple[int, ...], config_path: Path, everything: bool, dry_run: bool, as_json: bool, **filters: Any
) -> None:
    """Take requests in that are in quarantine, by IDS or filters, as if they had come now.

    Each is validated and routed by the configuration as it is now. What is accepted leaves quarantine, and a running
    gateway delivers it; the rest stays, with what is wrong now. Exit code 1 where any was refused.
    """
    if not (ids or everything or any(value is not None for value in filters.values())):
        raise click.UsageError("say what to replay: ids, --all, or a filter such as --account")
    config = load_config(config_path)
    which = Filter(ids=ids or None, **filters)
    verdicts, ended = run_on_store(
        config, lambda store: replay_all(store, config, which, dry_run, hidden=as_json), which
    )
    if as_json:
        render.print_json(dataclasses.asdict(verdict) for verdict in verdicts)
    else:
        print_verdicts(verdicts, dry_run)
    if not ended:
        click.echo("Interrupted; what was not reached is still in quarantine.", err=True)
        sys.exit(progress.INTERRUPTED)
    missing = sorted(set(ids) - {verdict.id for verdict in verdicts})
    for id in missing:
        click.echo(f"{id} is not in quarantine", err=True)
    if missing or any(verdict.result == "refused" for verdict in verdicts):
        sys.exit(1)


async def replay_all(
    store: Store, config: Config, which: Filter, dry_run: bool, hidden: bool
) -> tuple[list[Verdict], bool]:
    """What became of each request, and whether all were reached."""
    verdicts: list[Verdict] = []
    pages = replay_pages(store, config, which, dry_run)
    with progress.interruptible() as asked, progress.progress_bar("replaying", 0, hidden) as bar:
        async for page in progress.until(asked, pages, yielding=not dry_run):
            verdicts += page
            bar.grow(len(page))
        return verdicts, not asked.is_set()


async def replay_pages(store: Store, config: Config, which: Filter, dry_run: bool) -> AsyncIterator[list[Verdict]]:
    """Oldest first, so that an order's signals are accepted in the order they came in."""
    ingest = Ingest(config.accounts, store)
    after = 0
    while rows := await store.list_quarantined_oldest(dataclasses.replace(which, after=after), PAGE):
        after = rows[-1].id
        now = datetime.now(UTC)
        if dry_run:
            yield [judge(config, row, now) for row in rows]
        else:
            yield await asyncio.gather(*(readmit(ingest, config, store, row, now) for row in rows))


def judge(config: Config, row: QuarantineRow, now: datetime) -> Verdict:
    """What would become of a request."""
    account = config.accounts.get(row.account)
    if account is None:
        return Verdict(row.id, row.account, "refused", errors={"account": "is not configured"})
    try:
        signal = parse_quarantined(account, row.body, now)
    except InvalidSignal as error:
        return Verdict(row.id, row.account, "refused", errors=error.fields)
    routes = [route.name for route in account.routes.values() if route.enabled and route.wants(signal.type)]
    return Verdict(row.id, row.account, "accepted", routes=routes)


async def readmit(ingest: Ingest, config: Config, store: Store, row: QuarantineRow, now: datetime) -> Verdict:
    verdict = judge(config, row, now)
    if verdict.result == "refused":
        return verdict
    receipt = await ingest.readmit(row.account, row.body, now)
    await store.release_quarantined(row.id, receipt.signal, now.timestamp())
    if receipt.duplicate:
        return Verdict(row.id, row.account, "duplicate")
    return Verdict(row.id, row.account, "accepted", receipt.id, receipt.held, verdict.routes)


def print_verdicts(verdicts: Sequence[Verdict], dry_run: bool) -> None:
    render.print_table([verdict_line(verdict) for verdict in verdicts], "Nothing in quarantine matches.")
    if verdicts:
        counts = Counter(verdict.result for verdict in verdicts)
        accepted = "would be accepted; nothing was changed" if dry_run else "accepted"
        click.echo(
            f"{counts['duplicate']} there already, {counts['refused']} refused, {counts['accepted']} {accepted}."
        )


def verdict_line(verdict: Verdict) -> dict[str, object]:
    routes = ", ".join(verdict.routes) or "no route asks for it"
    about = {"accepted": routes, "duplicate": "the sender's own retry was accepted", "refused": wrong(verdict.errors)}
    return {
        "id": verdict.id,
        "account": verdict.account,
        "result": "accepted, held: order unknown" if verdict.held else verdict.result,
        "signal": verdict.signal,
        "routes, or what is wrong": about[verdict.result],
    }


COMMANDS = (quarantine,)
