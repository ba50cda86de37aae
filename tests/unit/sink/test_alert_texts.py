"""Alerts of the gateway as sinks show them: headline, emoji, severity; and ERPs, which have no place for some."""

from __future__ import annotations

import pytest

from gateway.errors import Permanent, Skip
from gateway.sink import icon_of, is_cleared, require_reference, severity_of, signal_types, title_of
from gateway.testing import make_signal

ALERT = signal_types.GATEWAY_ALERT


def test_a_raised_alert_is_trouble_and_a_cleared_one_is_not() -> None:
    raised, cleared = (make_signal(ALERT, state=state) for state in ("raised", "cleared"))
    assert (icon_of(raised), severity_of(raised), is_cleared(raised)) == ("⚠️", "warning", False)
    assert (icon_of(cleared), severity_of(cleared), is_cleared(cleared)) == ("✅", "info", True)


def test_a_headline_has_the_watch_or_the_cause() -> None:
    assert title_of(make_signal(ALERT)) == "Alert not-shipped"
    assert title_of(make_signal(ALERT, watch=None, cause="dead-letters")) == "Alert dead-letters"


def test_other_signals_are_shown_by_their_type() -> None:
    shipped = make_signal(signal_types.ITEM_SHIPPED, state="cleared")
    assert (title_of(shipped), icon_of(shipped), severity_of(shipped)) == ("Item shipped", "", "info")
    assert not is_cleared(shipped)


def test_an_erp_leaves_out_alerts_about_no_order() -> None:
    nowhere = {"order": None, "order_reference": None}
    with pytest.raises(Skip, match="the alert is about no order"):
        require_reference(make_signal(ALERT, **nowhere))
    with pytest.raises(Permanent):
        require_reference(make_signal(signal_types.ITEM_ERROR, **nowhere))
    assert require_reference(make_signal(ALERT)) == "PO-1001"
