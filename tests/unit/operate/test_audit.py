"""The findings of an audit, summed up page by page."""

from typing import Any

import pytest

from gateway.operate.audit import Findings
from gateway.store.values import CustodyPage, Violation

ERP = ("bookshop", "erp")
SOUND = {"accepted": 5, "delivered": 2, "pending": 1, "dead": 1, "filtered": 1}
LOST = Violation(7, "bookshop", "erp", "is pending, but says when it ended")


def page(reached: int, *violations: Violation, **ledger: int) -> CustodyPage:
    return CustodyPage(1, reached, 10, {}, 5, {ERP: {**SOUND, **ledger}}, violations)


def add(*pages: CustodyPage) -> Findings:
    findings = Findings()
    for each in pages:
        findings = findings.add(each)
    return findings


def test_pages_are_summed_up() -> None:
    findings = add(page(5), page(10))
    assert findings.ledger == {ERP: {name: 2 * number for name, number in SOUND.items()}}
    assert (findings.signals, findings.violations, findings.done, findings.total) == (10, 0, 10, 10)
    assert findings.ok
    assert findings.stopped_at is None


def test_nothing_accepted_is_sound() -> None:
    assert add().ok
    assert add().stopped_at is None


def test_violations_are_counted_in_all_and_given_once() -> None:
    first, both = add(page(5, LOST)), add(page(5, LOST), page(10))
    assert (first.violations, first.latest, first.stopped_at) == (1, (LOST,), 5)
    assert (both.violations, both.latest, both.ok) == (1, (), False)


@pytest.mark.parametrize("ledger", [{"accepted": 6}, {"dead": 0}])
def test_a_ledger_must_balance(ledger: dict[str, Any]) -> None:
    findings = add(page(5), page(10, **ledger))
    assert (findings.unbalanced, findings.ok) == ([ERP], False)
