"""A route's status as operators see it."""

from typing import Any

import pytest

from gateway.operate.routes import NO_BACKLOG, RouteRow
from gateway.store.values import RouteState
from tests.support.accounts import make_route

OPEN = {"failures": 5, "opened": 1, "probe_at": 60.0, "reason": "answered 500"}
REFUSED = {"opened": 1, "probe_at": 60.0, "reason": "wrong api_key"}
PAUSED = {"paused": True, "paused_at": 1.0, "why": "new ERP"}


def row(configured: bool = True, enabled: bool = True, **state: Any) -> RouteRow:
    route = make_route("erp", enabled=enabled) if configured else None
    return RouteRow(("bookshop", "erp"), route, RouteState("bookshop", "erp", **state), NO_BACKLOG)


@pytest.mark.parametrize(
    ("found", "status", "why", "probe_at"),
    [
        (row(), "running", "", None),
        (row(**OPEN), "failing", "answered 500", 60.0),
        (row(**REFUSED), "misconfigured", "wrong api_key", 60.0),
        (row(**PAUSED), "paused", "new ERP", None),
        (row(**{**OPEN, **PAUSED}), "paused", "new ERP; answered 500", None),
        (row(enabled=False, **OPEN), "off", "answered 500", None),
        (row(configured=False, **PAUSED), "not configured", "new ERP", None),
    ],
)
def test_a_status_is_the_strongest_reason_not_to_deliver(
    found: RouteRow, status: str, why: str, probe_at: float | None
) -> None:
    assert (found.status, found.why, found.probe_at) == (status, why, probe_at)
