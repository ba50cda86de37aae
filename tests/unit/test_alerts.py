"""Alerts as values: their states, the signals that tell of them, and the changes that conditions ask for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from gateway.alerts import CLEARED, RAISED, Alert, AlertKey, Condition, Plan, make_alert_signal, plan_changes
from gateway.model import Delivery, lane_of
from gateway.signal_types import GATEWAY_ALERT, ITEM_SHIPPED

NOW = 1_795_000_000.0
LATE = Condition(
    "bookshop",
    "No ItemShipped 72 h after ItemProduced",
    watch="not-shipped",
    subject="item 2",
    order="1",
    order_reference="PO-1",
    item="2",
    item_reference="7",
)
SICK = Condition("bookshop", "Route erp is failing", cause="route-failing", subject="erp", route="erp", patience=3600)


def keyed(*conditions: Condition) -> dict[AlertKey, Condition]:
    return {condition.key: condition for condition in conditions}


def opened(*alerts: Alert) -> dict[AlertKey, Alert]:
    return {alert.condition.key: alert for alert in alerts}


def test_a_signal_tells_of_the_alert_with_its_fields() -> None:
    signal = make_alert_signal(12, LATE, RAISED, NOW)
    assert (signal.type, signal.account, signal.order, signal.item) == (GATEWAY_ALERT, "bookshop", "1", "2")
    assert signal.payload == {
        "type": GATEWAY_ALERT,
        "alert": 12,
        "state": "raised",
        "severity": "warning",
        "watch": "not-shipped",
        "order": "1",
        "order_reference": "PO-1",
        "item": "2",
        "item_reference": "7",
        "message": "No ItemShipped 72 h after ItemProduced",
        "datetime": datetime.fromtimestamp(NOW, UTC).isoformat(),
    }
    assert signal.missing == ()


def test_its_message_says_that_it_is_cleared() -> None:
    assert make_alert_signal(12, LATE, CLEARED, NOW).text("message") == f"Cleared: {LATE.message}"


def test_a_signal_has_no_time_that_could_make_the_vendors_next_signal_late() -> None:
    signal = make_alert_signal(12, LATE, RAISED, NOW)
    assert signal.occurred_at is None
    assert signal.at.timestamp() == NOW


def test_raised_and_cleared_are_two_signals_in_one_lane() -> None:
    for condition in (LATE, SICK):
        raised, cleared = (make_alert_signal(12, condition, state, NOW) for state in (RAISED, CLEARED))
        assert raised.identity != cleared.identity
        assert lane_of(raised, "lane") == lane_of(cleared, "lane") is not None
    assert lane_of(make_alert_signal(12, SICK, RAISED, NOW), "lane") == "alert 12"
    assert lane_of(make_alert_signal(12, SICK, RAISED, NOW), "none") is None


def test_an_alert_is_not_overtaken_by_its_order() -> None:
    assert not Delivery(make_alert_signal(12, LATE, CLEARED, NOW), "slack", furthest=ITEM_SHIPPED).overtaken


def test_the_state_of_an_alert_follows_its_times() -> None:
    alert = Alert(1, SICK, since=NOW)
    assert alert.state == "waiting"
    assert replace(alert, raised_at=NOW).state == "raised"
    assert replace(alert, raised_at=NOW, acknowledged_at=NOW).state == "acknowledged"
    assert replace(alert, raised_at=NOW, acknowledged_at=NOW, cleared_at=NOW).state == "cleared"


def test_new_conditions_are_noted_and_old_ones_left() -> None:
    raised = Alert(1, LATE, since=NOW, raised_at=NOW)
    assert plan_changes({}, keyed(LATE, SICK), NOW) == Plan((LATE, SICK))
    assert plan_changes(opened(raised), keyed(LATE, SICK), NOW) == Plan((SICK,))


def test_a_condition_is_raised_once_it_has_lasted() -> None:
    waiting = opened(Alert(1, SICK, since=NOW))
    assert plan_changes(waiting, keyed(SICK), NOW + 3599) == Plan()
    assert plan_changes(waiting, keyed(SICK), NOW + 3600) == Plan((SICK,))


def test_alerts_whose_condition_is_over_are_cleared() -> None:
    raised, waiting = Alert(1, LATE, since=NOW, raised_at=NOW), Alert(2, SICK, since=NOW)
    assert plan_changes(opened(raised, waiting), {}, NOW) == Plan((), (raised, waiting))
