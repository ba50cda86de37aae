"""The custody check: every accepted signal is accounted for, on every route."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.model import RouteKey
from gateway.operate.traffic import Progress, progress_of, yield_to_traffic
from gateway.store.contract import Records
from gateway.store.values import STATES, CustodyPage, Violation

__all__ = ["STATES", "Findings", "Violation", "audit_custody"]

Ledger = Mapping[RouteKey, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Findings(Progress):
    """The findings of an audit so far.

    `violations` counts the errors found; `latest` has the errors of the last page. `ledger` counts the deliveries of
    each route: `accepted` and each state.
    """

    signals: int = 0
    violations: int = 0
    latest: Sequence[Violation] = ()
    ledger: Ledger = field(default_factory=dict)

    @property
    def unbalanced(self) -> list[RouteKey]:
        """Return the routes on which accepted is not delivered + pending + dead + filtered."""
        return [route for route, n in self.ledger.items() if n["accepted"] != sum(n[state] for state in STATES)]

    @property
    def ok(self) -> bool:
        """Return True if nothing wrong was found."""
        return not self.violations and not self.unbalanced

    def add(self, page: CustodyPage) -> Findings:
        """Return the findings after one more page."""
        return Findings(
            *progress_of(page),
            self.signals + page.signals,
            self.violations + len(page.violations),
            page.violations,
            add_ledgers(self.ledger, page.ledger),
        )


def add_ledgers(one: Ledger, other: Ledger) -> Ledger:
    """Return the sums of two ledgers."""
    sums = {route: Counter(counts) for route, counts in one.items()}
    for route, counts in other.items():
        sums.setdefault(route, Counter()).update(counts)
    return sums


async def audit_custody(store: Records, after: int, stop: asyncio.Event) -> AsyncIterator[Findings]:
    """Check custody of every signal above the id `after`; yield the findings so far.

    It only reads, in short steps, and can run beside a gateway. `stop` ends it between two pages.
    """
    findings = Findings()
    async for page in yield_to_traffic(store.check_custody(after), stop, rest=0):
        findings = findings.add(page)
        yield findings
