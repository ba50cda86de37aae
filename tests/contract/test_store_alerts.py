"""The store's contract: alerts are raised once and cleared once, each with the signal that tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.alerts import Alert, Condition
from gateway.model import Route
from gateway.signal_types import GATEWAY_ALERT
from gateway.store.contract import Store
from gateway.store.values import AlertFilter, Filter, Telling
from tests.contract.store_case import NOW, Backend, accept, claim, finish, numbered, states
from tests.support.factory import ACCOUNT

pytestmark = pytest.mark.gen_test

HOUR = 3600.0
LATE = Condition(ACCOUNT, "No ItemShipped for 72 h", watch="not-shipped", subject="2", order="1", item="2")
SICK = Condition(ACCOUNT, "Route erp is failing", cause="route-failing", subject="erp", route="erp", patience=HOUR)
ROUTES = [Route(ACCOUNT, "acme", "slack", "slack"), Route(ACCOUNT, "acme", "export", "csv", order="none")]


def telling(condition: Condition, routes: Sequence[Route] = ROUTES, unrouted: Sequence[str] = ("erp",)) -> Telling:
    return Telling(condition, routes, unrouted)


async def raise_now(store: Store, *conditions: Condition, now: float = NOW) -> list[int]:
    tellings = [telling(condition) for condition in conditions]
    return [alert.id for alert in await store.raise_alerts(tellings, now)]


async def clear_now(store: Store, *alerts: Alert, now: float = NOW) -> list[int]:
    tellings = [telling(alert.condition) for alert in alerts]
    return [alert.id for alert in await store.clear_alerts(alerts, tellings, now)]


async def told(store: Store) -> list[tuple[object, object]]:
    """Return the alert and the state of each signal, in order."""
    rows = await store.list_signals_after(Filter(type=GATEWAY_ALERT), 0, 1000)
    return [(signal.payload["alert"], signal.payload["state"]) for signal in rows]


async def test_an_alert_is_raised_and_cleared_once(backend: Backend) -> None:
    async with backend.open() as store:
        (found,) = await store.raise_alerts([telling(LATE)], NOW)
        alert = found.id
        assert await raise_now(store, LATE, now=NOW + 1) == []
        ((key, opened),) = (await store.read_open_alerts()).items()
        assert (key, opened) == (LATE.key, found) == (LATE.key, Alert(alert, LATE, since=NOW, raised_at=NOW))
        assert await clear_now(store, opened, now=NOW + 2) == [alert]
        assert await clear_now(store, opened, now=NOW + 3) == []
        assert await store.read_open_alerts() == {}
        assert await told(store) == [(alert, "raised"), (alert, "cleared")]
        assert await store.list_alerts(AlertFilter(), 10) == [replace(opened, cleared_at=NOW + 2)]


async def test_what_comes_again_is_another_alert(backend: Backend) -> None:
    async with backend.open() as store:
        (first,) = await raise_now(store, LATE)
        await clear_now(store, *(await store.read_open_alerts()).values())
        (second,) = await raise_now(store, LATE)
        assert await told(store) == [(first, "raised"), (first, "cleared"), (second, "raised")]


async def test_its_signal_has_a_delivery_on_each_route_and_counts_for_the_others(backend: Backend) -> None:
    async with backend.open() as store:
        await raise_now(store, LATE)
        (row,) = await store.list_signals(Filter(), 10)
        assert (row.signal.type, row.signal.order, row.signal.item) == (GATEWAY_ALERT, "1", "2")
        assert (row.deliveries, row.unrouted) == (2, ("erp",))
        rows = await store.list_deliveries(Filter(), 10)
        assert {row.route: row.lane for row in rows} == {"slack": "1", "export": None}
        async for page in store.check_custody():
            assert not page.violations


async def test_it_makes_no_later_signal_of_its_order_late(backend: Backend) -> None:
    async with backend.open() as store:
        await raise_now(store, LATE, now=NOW + HOUR)
        await accept(store, numbered(2, order="1"))
        assert [row.signal.late for row in await store.list_signals(Filter(), 10)] == [False, False]


async def test_an_alert_without_an_order_is_cleared_after_it_was_raised(backend: Backend) -> None:
    condition = replace(SICK, patience=0.0)
    async with backend.open() as store:
        await raise_now(store, condition)
        await clear_now(store, *(await store.read_open_alerts()).values())
        (first,) = await claim(store, routes=["slack"])
        assert first.signal.payload["state"] == "raised"
        assert await claim(store, routes=["slack"]) == []
        await finish(store, [first])
        (second,) = await claim(store, routes=["slack"])
        assert second.signal.payload["state"] == "cleared"
        await finish(store, [second])
        assert {*(await states(store, route="slack")).values()} == {"delivered"}


async def test_a_condition_with_patience_waits(backend: Backend) -> None:
    async with backend.open() as store:
        assert await raise_now(store, SICK) == []
        (waiting,) = (await store.read_open_alerts()).values()
        assert (waiting.since, waiting.raised_at, waiting.state) == (NOW, None, "waiting")
        assert await store.list_alerts(AlertFilter(), 10) == []
        assert await raise_now(store, SICK, now=NOW + HOUR - 1) == []
        assert await told(store) == []
        assert await raise_now(store, SICK, now=NOW + HOUR) == [waiting.id]
        assert await raise_now(store, SICK, now=NOW + HOUR + 1) == []
        assert await told(store) == [(waiting.id, "raised")]


async def test_a_condition_that_did_not_last_is_told_to_nobody(backend: Backend) -> None:
    async with backend.open() as store:
        await raise_now(store, SICK)
        assert await clear_now(store, *(await store.read_open_alerts()).values()) == []
        assert await store.read_open_alerts() == {}
        assert await told(store) == []


async def test_two_gateways_at_once_raise_and_clear_it_once(backend: Backend) -> None:
    async with backend.open() as first, backend.open() as second:
        many = [replace(LATE, subject=str(number), item=str(number)) for number in range(20)]
        raised = await asyncio.gather(raise_now(first, *many), raise_now(second, *reversed(many)))
        assert sum(map(len, raised)) == 20
        alerts = [*(await first.read_open_alerts()).values()]
        cleared = await asyncio.gather(clear_now(first, *alerts), clear_now(second, *reversed(alerts)))
        assert sum(map(len, cleared)) == 20
        assert len({*await told(first)}) == len(await told(first)) == 40


async def test_an_open_alert_is_acknowledged_once_with_an_action(backend: Backend) -> None:
    async with backend.open(actor="ann") as store:
        (alert,) = await raise_now(store, LATE)
        assert not await store.acknowledge_alert(alert + 1, NOW)
        assert await store.acknowledge_alert(alert, NOW + 1)
        assert not await store.acknowledge_alert(alert, NOW + 2)
        (found,) = await store.list_alerts(AlertFilter(), 10)
        assert (found.state, found.acknowledged_at, found.acknowledged_by) == ("acknowledged", NOW + 1, "ann")
        (action,) = await store.list_actions("acknowledge", 10)
        assert (action.actor, action.detail) == ("ann", {"account": ACCOUNT, "alert": alert})
        assert await clear_now(store, found) == [alert]


async def test_alerts_are_listed_by_account_state_and_page(backend: Backend) -> None:
    other = replace(LATE, account="other")
    async with backend.open() as store:
        first, second, third = await raise_now(store, LATE, replace(LATE, subject="3"), other)
        await store.acknowledge_alert(second, NOW)
        (gone,) = (alert for alert in (await store.read_open_alerts()).values() if alert.id == third)
        await clear_now(store, gone)

        async def listed(limit: int = 10, **which: object) -> list[int]:
            return [alert.id for alert in await store.list_alerts(AlertFilter(**which), limit)]  # type: ignore[arg-type]

        assert await listed() == [third, second, first]
        assert await listed(2) == [third, second]
        assert await listed(before=second) == [first]
        assert await listed(accounts=["other"]) == [third]
        assert await listed(accounts=[]) == []
        assert await listed(ids=[first, third]) == [third, first]
        assert await listed(ids=[10**30], before=10**30) == []
        assert await listed(before=10**30) == [third, second, first]
        found = {state: await listed(state=state) for state in ("open", "raised", "acknowledged", "cleared")}
        assert found == {"open": [second, first], "raised": [first], "acknowledged": [second], "cleared": [third]}


async def test_old_alerts_are_purged_and_open_ones_stay(backend: Backend) -> None:
    async with backend.open() as store:
        await raise_now(store, LATE, replace(LATE, subject="3"))
        await clear_now(store, next(iter((await store.read_open_alerts()).values())))
        assert await store.purge_alerts(NOW, 100) == 0
        assert await store.purge_alerts(NOW + 1, 100) == 1
        assert len(await store.list_alerts(AlertFilter(), 10)) == 1


async def test_an_account_is_forgotten_with_its_alerts(backend: Backend) -> None:
    async with backend.open() as store:
        await raise_now(store, LATE, SICK)
        while not (await store.forget(ACCOUNT, 10, NOW)).done:
            pass
        assert await store.read_open_alerts() == {}
