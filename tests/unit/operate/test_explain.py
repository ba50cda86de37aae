"""Explanations of a signal on a route, one for each state of delivery and route."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.alerts import Condition, make_alert_signal
from gateway.model import Account, Retry
from gateway.operate.explain import Explanation, Facts, explain_routes
from gateway.store.values import DeliveryRow, RouteState, SignalRow
from tests.support.accounts import make_account, make_route
from tests.support.factory import AT, make_signal

NOW = AT.timestamp()
SHOWN = "2026-11-20 10:11:12 UTC"
LATER = "2026-11-20 10:12:12 UTC"

PENDING = DeliveryRow(12, "bookshop", "erp", "1", "pending", 0, NOW, NOW, None, "")
ENDED = replace(PENDING, state="delivered", due_at=None, attempts=1, ended_at=NOW)
WAITS = replace(PENDING, due_at=None)
RETRY = replace(PENDING, due_at=NOW + 60, attempts=2, reason="answered 500")
HEAD = replace(RETRY, signal_id=7)


def one(
    delivery: DeliveryRow | None = None,
    *,
    head: DeliveryRow | None = None,
    unrouted: tuple[str, ...] = (),
    state: dict[str, Any] | None = None,
    **route: Any,
) -> Explanation:
    """Return the explanation for an account's only route."""
    account = make_account(routes={"erp": make_route("erp", **route)})
    return the_one(account, delivery, head, unrouted, state)


def the_one(
    account: Account | None,
    delivery: DeliveryRow | None = None,
    head: DeliveryRow | None = None,
    unrouted: tuple[str, ...] = (),
    state: dict[str, Any] | None = None,
) -> Explanation:
    facts = Facts(
        SignalRow(make_signal(id=12), 1, unrouted),
        {"erp": delivery} if delivery else {},
        {"erp": head} if head else {},
        {"erp": RouteState("bookshop", "erp", **state)} if state else {},
    )
    (found,) = explain_routes(facts, account, NOW)
    assert (found.route, found.delivery) == ("erp", delivery)
    return found


@pytest.mark.parametrize(
    ("row", "why", "text"),
    [
        (ENDED, "delivered", f"delivered at {SHOWN}, by attempt 1"),
        (replace(ENDED, replayed=True), "delivered", f"delivered at {SHOWN}, by attempt 1, in a replay"),
        (
            replace(ENDED, state="filtered", reason="no such order"),
            "filtered",
            f"filtered at {SHOWN}: no such order",
        ),
        (replace(ENDED, state="dead", reason="no"), "dead", f"given up at {SHOWN}: no"),
        (replace(ENDED, state="dead", ended_at=None), "dead", "given up at an unknown time: "),
        (PENDING, "due", f"has been due since {SHOWN}"),
        (
            replace(RETRY, due_at=NOW),
            "due",
            f"has been due since {SHOWN}, after 2 failed attempts; the last: answered 500",
        ),
        (RETRY, "retry", f"is tried again at {LATER}, after 2 failed attempts; the last: answered 500"),
        (
            replace(RETRY, attempts=1),
            "retry",
            f"is tried again at {LATER}, after 1 failed attempt; the last: answered 500",
        ),
        (replace(PENDING, leased_until=NOW + 60), "running", "is being delivered, in attempt 1"),
        (replace(PENDING, leased_until=NOW), "due", f"has been due since {SHOWN}"),  # its lease has run out
        (replace(WAITS, held=True), "held", "held until its order is known to the account"),
        (WAITS, "behind", "waits behind another delivery of its order"),
    ],
)
def test_a_delivery_is_explained_by_its_state(row: DeliveryRow, why: str, text: str) -> None:
    found = one(row)
    end = "; given up at 2026-11-27 10:11:12 UTC at the latest" if row.state == "pending" and row.reason else ""
    assert (found.why, found.text, found.behind, found.sink) == (why, text + end, None, "fake")


def test_a_delivery_behind_another_names_it_and_explains_its_wait() -> None:
    found = one(WAITS, head=HEAD)
    assert (found.why, found.behind) == ("behind", 7)
    assert found.text == (
        f"waits behind signal 7 of its order, which is tried again at {LATER}, after 2 failed attempts; "
        "the last: answered 500"
    )


@pytest.mark.parametrize(
    ("state", "why", "text"),
    [
        (
            {"paused": True, "paused_at": NOW, "why": "new ERP"},
            "paused",
            f"the route has been paused since {SHOWN}: new ERP",
        ),
        ({"paused": True, "paused_at": NOW}, "paused", f"the route has been paused since {SHOWN}"),
        (
            {"failures": 5, "opened": 1, "probe_at": NOW + 60, "reason": "answered 500"},
            "failing",
            f"the route's target fails, and is probed at {LATER}: answered 500",
        ),
        (
            {"opened": 1, "probe_at": NOW, "reason": "wrong api_key"},
            "misconfigured",
            "the target refuses the route's settings (wrong api_key): correct them",
        ),
    ],
)
def test_a_route_that_delivers_nothing_is_explained(state: dict[str, Any], why: str, text: str) -> None:
    found = one(PENDING, state=state)
    assert (found.why, found.text) == (why, f"{text}; the delivery waits")
    failed = one(RETRY, state=state).text
    assert failed == f"{text}; the delivery waits, after 2 failed attempts; the last: answered 500"
    behind = one(WAITS, head=HEAD, state=state)
    assert (behind.why, behind.text) == (why, f"{text}; the delivery waits behind signal 7 of its order")
    # It goes on, or would not go on, whatever the route does.
    assert one(replace(PENDING, leased_until=NOW + 60), state=state).why == "running"
    assert one(replace(WAITS, held=True), state=state).why == "held"
    assert one(ENDED, state=state).text == f"delivered at {SHOWN}, by attempt 1"


def test_a_delivery_on_a_disabled_or_removed_route_is_explained() -> None:
    off = one(PENDING, enabled=False)
    assert (off.why, off.text) == ("off", "the route is switched off; the delivery waits")
    for account in (make_account(routes={}), None):
        gone = the_one(account, PENDING)
        assert (gone.why, gone.sink) == ("unconfigured", None)
        assert gone.text == "the route is not configured; the delivery waits"
        assert the_one(account, ENDED).why == "delivered"


@pytest.mark.parametrize(
    ("route", "unrouted", "why", "text"),
    [
        (
            {"signals": frozenset({"ItemError"})},
            ("erp",),
            "filtered",
            "the route did not ask for ItemShipped when the signal came",
        ),
        (
            {},
            ("erp",),
            "filtered",
            "the route did not ask for ItemShipped when the signal came; it does now, for later signals",
        ),
        ({"enabled": False}, (), "off", "the route is switched off"),
        ({}, (), "later", "the route was added or switched on after the signal was accepted"),
        (
            {"signals": frozenset({"ItemError"})},
            (),
            "later",
            "the route was added or switched on after the signal was accepted, and it does not ask for ItemShipped",
        ),
    ],
)
def test_a_missing_delivery_is_explained(route: dict[str, Any], unrouted: tuple[str, ...], why: str, text: str) -> None:
    found = one(None, unrouted=unrouted, **route)
    assert (found.why, found.text) == (why, text)


def test_an_alert_about_a_route_says_that_it_does_not_go_there() -> None:
    sick = Condition("bookshop", "Route erp has dead letters", cause="dead-letters", route="erp")
    alert = make_alert_signal(1, sick, "raised", NOW)
    facts = Facts(SignalRow(alert, 0, ("erp", "alerts")), {}, {}, {})
    found = {explanation.route: explanation.text for explanation in explain_routes(facts, make_account(), NOW)}
    assert found["erp"] == "an alert about a route does not go to that route"
    assert found["alerts"].startswith("the route did not ask for GatewayAlert")


def test_routes_come_in_the_configs_order_then_those_that_are_gone() -> None:
    deliveries = {name: replace(ENDED, route=name) for name in ("zebra", "ant", "erp")}
    facts = Facts(SignalRow(make_signal(id=12), 3, ("alerts", "lost")), deliveries, {}, {})
    found = {explanation.route: explanation.why for explanation in explain_routes(facts, make_account(), NOW)}
    assert list(found.items()) == [
        ("erp", "delivered"),
        ("alerts", "filtered"),
        ("off", "off"),
        ("ant", "delivered"),
        ("zebra", "delivered"),
        ("lost", "filtered"),
    ]


def test_an_end_beyond_all_calendars_is_told() -> None:
    assert one(RETRY, retry=Retry(give_up_after=1e13)).text.endswith(
        "given up at 9999-12-31 00:00:00 UTC at the latest"
    )
