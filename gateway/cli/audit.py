"""The command audit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from gateway.cli import progress, render
from gateway.cli.opening import with_store
from gateway.cli.options import config_option, json_option
from gateway.operate import views
from gateway.operate.audit import Findings, Violation, audit_custody
from gateway.store import Store


@click.command()
@config_option
@click.option("--after", type=int, default=0, help="Only signals with a higher id than this.")
@json_option
def audit(config_path: Path, after: int, as_json: bool) -> None:
    """Prove that every accepted signal is accounted for; exit code 1 and a list of errors if not.

    Each signal must have all deliveries that it was given, and each delivery must be in exactly one state. On each
    route, accepted = delivered + pending + dead + filtered. The audit only reads, in short steps, beside a running
    gateway.
    """
    say = say_json if as_json else say_line
    findings = with_store(config_path, lambda store: run_audit(store, after, say, hidden=as_json), despite_errors=True)
    if as_json:
        render.print_json([views.findings_json(findings)])
    else:
        print_findings(findings)
    progress.exit_if_stopped(findings.stopped_at)
    if not findings.ok:
        sys.exit(1)


async def run_audit(store: Store, after: int, say: Callable[[Violation], None], hidden: bool) -> Findings:
    """Audit under a progress bar, and print each error at once."""
    findings = Findings()
    with progress.interruptible() as stop, progress.progress_bar("auditing", 1, hidden) as bar:
        async for findings in audit_custody(store, after, stop):
            bar.show(findings.done, findings.total)
            for violation in findings.latest:
                say(violation)
    return findings


def say_line(violation: Violation) -> None:
    place = f" on {violation.account}/{violation.route}:" if violation.route else f" of {violation.account}"
    click.echo(f"signal {violation.signal_id}{place} {violation.problem}")


def say_json(violation: Violation) -> None:
    render.print_json([views.violation_json(violation)])


def print_findings(findings: Findings) -> None:
    render.print_table(views.ledger_json(findings.ledger), "Nothing was accepted yet.")
    for account, route in findings.unbalanced:
        click.echo(f"{account}/{route}: accepted is not delivered + pending + dead + filtered")
    if findings.ok:
        click.echo(f"{findings.signals} signals, and each is accounted for.")
    else:
        click.echo(f"{findings.signals} signals; {findings.violations} of them or of their deliveries are wrong.")
