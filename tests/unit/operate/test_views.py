"""The JSON of each value: complete, and plain enough to be written by any JSON library."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from gateway.alerts import Alert, Condition
from gateway.config import load_config
from gateway.errors import Problem
from gateway.model import Attempt, Kind
from gateway.operate import views
from gateway.operate.audit import Findings
from gateway.operate.check import RouteCheck
from gateway.operate.check_store import StoreCheck
from gateway.operate.explain import Explanation
from gateway.operate.lookups import SignalDetails
from gateway.operate.plugins import PluginRow
from gateway.operate.purge import Removed
from gateway.operate.quarantine import Verdict
from gateway.operate.replay import Replayed
from gateway.operate.routes import RouteRow
from gateway.store.move import Moved
from gateway.store.values import Backlog, DeliveryRow, QuarantineRow, RouteState, SignalRow, Violation
from tests.support.accounts import make_route
from tests.support.factory import AT, make_signal
from tests.support.folder import CONFIG

NOW = AT.timestamp()
KEY = ("bookshop", "erp")
DELIVERY = DeliveryRow(1, "bookshop", "erp", "1", "dead", 2, NOW, None, NOW + 60, "no such order")
DETAILS = SignalDetails(
    SignalRow(make_signal(), 1, ("alerts",)),
    [DELIVERY],
    {"erp": [Attempt(1, NOW, 0.12345, Kind.PERMANENT, "no such order")]},
)
ROUTE = RouteRow(KEY, make_route("erp"), RouteState("bookshop", "erp", reason="down", probe_at=NOW), Backlog(3, 1, NOW))
LEDGER = {KEY: {"accepted": 1, "delivered": 0, "pending": 1, "dead": 0, "filtered": 0}}
VIEWS: list[Any] = [
    views.details_json(DETAILS),
    views.explanation_json(DETAILS.row, Explanation("erp", "odoo", "dead", "given up", DELIVERY)),
    views.explanation_json(DETAILS.row, Explanation("erp", None, "later", "the route was added")),
    views.route_json(ROUTE, NOW),
    views.alert_json(Alert(1, Condition("bookshop", "The key 'old' ends", cause="key-ends"), NOW, NOW)),
    views.quarantine_json(QuarantineRow(1, "bookshop", NOW, "{}", {"type": "required"})),
    views.verdict_json(Verdict(1, "bookshop", "accepted", 2, False, ["erp"])),
    views.replayed_json(Replayed(found={KEY: 2}), dry_run=False),
    views.removed_json(Removed(1, 2, 3), dry_run=False),
    views.violation_json(Violation(1, "bookshop", None, "has no delivery")),
    views.findings_json(Findings(signals=1, ledger=LEDGER)),
    views.plugin_json(PluginRow("csv", "enabled", "cloudsignal-gateway 1", "CSV files")),
    views.problem_json(Problem("gateway.yaml", 9, "accounts", "required")),
    views.check_json(RouteCheck("bookshop", "erp", "odoo", True, ("signed in",))),
    views.store_check_json(StoreCheck("/srv/gateway.db", True, "can be read and written")),
    views.moved_json(Moved(1, 2)),
]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: ",".join(view[0] if isinstance(view, list) else view)[:40])
def test_a_view_is_plain_json(view: Any) -> None:
    assert json.loads(json.dumps(view))


def test_a_configuration_is_plain_json_without_its_keys(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    text = json.dumps(views.config_json(load_config(tmp_path / "gateway.yaml")))
    assert "bookshop" in text
    assert "test-key" not in text


def test_a_delivery_lacks_only_its_lease() -> None:
    """A new column of deliveries is shown, or left out here on purpose."""
    fields = {"signal" if name == "signal_id" else name for name in asdict(DELIVERY)}
    assert set(views.delivery_json(DELIVERY)) == fields - {"leased_until"}


def test_times_are_iso_and_durations_are_seconds() -> None:
    assert views.iso(None) is None
    assert views.iso(NOW) == AT.isoformat()
    (attempt,) = views.details_json(DETAILS)["deliveries"][0]["failed_attempts"]
    assert (attempt["started_at"], attempt["seconds"]) == (AT.isoformat(), 0.123)
    row = views.route_json(ROUTE, NOW + 1.23456)
    assert (row["oldest_at"], row["oldest_seconds"]) == (AT.isoformat(), 1.235)
    assert views.route_json(ROUTE, NOW - 5)["oldest_seconds"] == 0.0


def test_a_dry_run_counts_no_deliveries_and_removes_nothing() -> None:
    assert views.removed_json(Removed(1, 0, 3), dry_run=True) == {"signals": 1, "quarantined": 3, "removed": False}
    assert views.replayed_json(Replayed(found={KEY: 2}), dry_run=True) == [
        {"account": "bookshop", "route": "erp", "deliveries": 2, "replayed": False}
    ]
