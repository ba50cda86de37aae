"""The command that proves custody."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from gateway.cli import progress, render
from gateway.cli.opening import with_store
from gateway.cli.options import config_option, json_option
from gateway.store.contract import Store
from gateway.store.values import CustodyPage, Violation

STATES = ("delivered", "pending", "dead", "filtered")


@dataclass
class Findings:
    """What an audit has found by now. `stopped_at` is the signal after which it was interrupted."""

    signals: int = 0
    wrong: int = 0
    ledger: defaultdict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    stopped_at: int | None = None

    def add(self, page: CustodyPage) -> None:
        self.signals += page.signals
        self.wrong += len(page.violations)
        for route, counts in page.ledger.items():
            self.ledger[route].update(counts)
        self.stopped_at = page.reached if page.reached < page.last else None

    @property
    def unbalanced(self) -> list[tuple[str, str]]:
        """The routes whose ledger does not hold."""
        return [route for route, n in self.ledger.items() if n["accepted"] != sum(n[state] for state in STATES)]

    @property
    def ok(self) -> bool:
        return not self.wrong and not self.unbalanced


@click.command()
@config_option
@click.option("--after", type=int, default=0, help="Only signals with a higher id than this.")
@json_option
def audit(config_path: Path, after: int, as_json: bool) -> None:
    """Prove that every signal accepted is accounted for; exit code 1, and what is wrong, where it is not.

    Each signal must have the deliveries it was given, each delivery be in exactly one state, and on each route
    accepted = delivered + pending + dead + filtered. Reads only, in short steps, beside a running gateway.
    """
    say = say_json if as_json else say_line
    findings = with_store(config_path, lambda store: audit_pages(store, after, say, hidden=as_json))
    if as_json:
        render.print_json([findings_json(findings)])
    else:
        print_findings(findings)
    if findings.stopped_at is not None:
        click.echo(f"Interrupted after signal {findings.stopped_at}; to go on: --after {findings.stopped_at}", err=True)
        sys.exit(progress.INTERRUPTED)
    if not findings.ok:
        sys.exit(1)


async def audit_pages(store: Store, after: int, say: Callable[[Violation], None], hidden: bool) -> Findings:
    findings = Findings()
    with progress.interruptible() as asked, progress.progress_bar("auditing", 1, hidden) as bar:
        async for page in progress.until(asked, store.check_custody(after)):
            findings.add(page)
            bar.follow(page)
            for wrong in page.violations:
                say(wrong)
    return findings


def say_line(wrong: Violation) -> None:
    on = f" on {wrong.account}/{wrong.route}:" if wrong.route else f" of {wrong.account}"
    click.echo(f"signal {wrong.signal_id}{on} {wrong.problem}")


def say_json(wrong: Violation) -> None:
    row = {"signal": wrong.signal_id, "account": wrong.account, "route": wrong.route, "wrong": wrong.problem}
    render.print_json([row])


def findings_json(findings: Findings) -> dict[str, Any]:
    return {
        "ok": findings.ok,
        "complete": findings.stopped_at is None,
        "signals": findings.signals,
        "wrong": findings.wrong,
        "routes": ledger_rows(findings),
    }


def ledger_rows(findings: Findings) -> list[dict[str, object]]:
    columns = ("accepted", *STATES)
    rows = sorted(findings.ledger.items())
    return [{"account": key[0], "route": key[1], **{name: counts[name] for name in columns}} for key, counts in rows]


def print_findings(findings: Findings) -> None:
    rows = ledger_rows(findings)
    render.print_table(rows, "Nothing was accepted yet.")
    for account, route in findings.unbalanced:
        click.echo(f"{account}/{route}: accepted is not delivered + pending + dead + filtered")
    if findings.ok:
        click.echo(f"{findings.signals} signals, and each is accounted for.")
    else:
        click.echo(f"{findings.signals} signals; {findings.wrong} of them or of their deliveries are wrong.")


COMMANDS = (audit,)
