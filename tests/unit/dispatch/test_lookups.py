"""Sinks are asked for the orders of held signals: known ones are freed, and a failure only holds them longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.dispatch import Lookups, Tuning, lookups
from gateway.errors import Misconfigured, RetryLater
from gateway.metrics import Observer
from gateway.model import Account
from gateway.sink import Sink
from gateway.store.contract import Store
from gateway.store.values import Filter, RouteState, Target
from tests.support.factory import make_signal
from tests.unit.dispatch.harness import Harness, dispatching, make_route, make_sink, until

pytestmark = pytest.mark.gen_test

TUNING = Tuning(lookup_pace=0.0)


class Erp:
    """The orders that the sinks of a test know. `asked` has all questions; an exception in `answers` is raised."""

    def __init__(self, *orders: str) -> None:
        self.orders = set(orders)
        self.asked: list[str] = []
        self.trouble: BaseException | None = None

    def sink(self, **attributes: Any) -> type[Sink]:
        async def knows(sink: object, reference: str) -> bool:
            self.asked.append(reference)
            if self.trouble:
                raise self.trouble
            return reference in self.orders

        return make_sink(**{"knows": knows, **attributes})


class Counts(Observer):
    def __init__(self) -> None:
        self.answers: list[str] = []

    def order_looked_up(self, account: str, route: str, sink: str, answer: str) -> None:
        self.answers.append(answer)


class Case:
    """A dispatcher and the lookups of one gateway."""

    def __init__(self, gateway: Harness, tuning: Tuning) -> None:
        self.gateway = gateway
        self.store: Store = gateway.store
        self.counts = Counts()
        self.accounts: dict[str, Account] = {}
        for (account, name), route in gateway.routes.items():
            known = self.accounts.setdefault(account, Account(account, "acme", (), {}))
            self.accounts[account] = replace(known, routes={**known.routes, name: route})
        self.lookups = Lookups(
            self.store,
            lambda: self.accounts,
            lambda: gateway.dispatcher.runners,
            gateway.dispatcher.wake,
            gateway.clock,
            self.counts,
            tuning,
        )

    async def hold(self, *orders: str, account: str = "shop", ask: bool = False) -> None:
        """Hold a signal of each order, now."""
        routes = [name for owner, name in self.gateway.routes if owner == account]
        for order in orders:
            signal = make_signal(account=account, order=order, order_reference=f"PO-{order}")
            signal = replace(signal, received_at=datetime.fromtimestamp(self.gateway.clock.at, UTC))
            assert (await self.store.accept(signal, [Target(name, order) for name in routes], [], True)).held
            if ask:
                self.lookups.ask_soon(account, signal.order_reference)

    async def round(self) -> None:
        """Play a round to its end."""
        await self.lookups.begin_round()
        await self.lookups.wait_until_idle()

    async def held(self, account: str = "shop") -> list[str]:
        return list(await self.store.list_held_orders(account, 0, "", 100))


@asynccontextmanager
async def looking_up(
    tmp_path: Path, *sinks: type[Sink], tuning: Tuning = TUNING, accounts: tuple[str, ...] = ("shop",)
) -> AsyncIterator[Case]:
    routes = [(make_route(f"erp{n}", account), sink) for account in accounts for n, sink in enumerate(sinks)]
    async with dispatching(tmp_path, routes, tuning=tuning) as gateway:
        case = Case(gateway, tuning)
        try:
            yield case
        finally:
            await case.lookups.stop()


async def test_a_signal_whose_order_the_target_has_is_delivered_soon(tmp_path: Path) -> None:
    erp = Erp("PO-1")
    async with looking_up(tmp_path, erp.sink()) as case:
        await case.hold("1", "2", ask=True)
        await case.lookups.wait_until_idle()
        assert (erp.asked, case.counts.answers) == (["PO-1", "PO-2"], ["known", "unknown"])
        assert await case.held() == ["PO-2"]

        async def delivered() -> bool:
            return [row.order for row in await case.store.list_deliveries(Filter(state="delivered"), 10)] == ["1"]

        await until(delivered)


async def test_an_order_is_asked_for_again_until_the_target_has_it(tmp_path: Path) -> None:
    erp = Erp()
    async with looking_up(tmp_path, erp.sink()) as case:
        await case.hold("1", "2")
        await case.round()
        assert await case.held() == ["PO-1", "PO-2"]
        erp.orders.add("PO-2")
        case.gateway.clock.at += 60
        with capture_logs() as logs:
            await case.round()
        assert await case.held() == ["PO-1"]
        [line] = [line for line in logs if line["event"] == "order.known"]
        assert (line["route"], line["order_reference"], line["freed"]) == ("erp0", "PO-2", 1)
        await case.round()
        assert erp.asked == ["PO-1", "PO-2"] * 2 + ["PO-1"], "a known order is never asked for again"


async def test_old_orders_are_asked_for_less_often(tmp_path: Path) -> None:
    erp = Erp()
    async with looking_up(tmp_path, erp.sink()) as case:
        await case.hold("1")
        await case.round()
        case.gateway.clock.at += TUNING.lookup_recent
        await case.hold("2")
        await case.round()
        assert erp.asked == ["PO-1", "PO-1", "PO-2"], "this round was of all orders"
        case.gateway.clock.at += TUNING.lookup_round
        await case.round()
        assert erp.asked[3:] == ["PO-2"]
        case.gateway.clock.at += TUNING.lookup_whole_round
        await case.round()
        assert erp.asked[4:] == ["PO-1", "PO-2"]


async def test_all_held_orders_are_asked_for_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "PAGE", 2)
    erp = Erp("PO-1", "PO-4")
    async with looking_up(tmp_path, erp.sink()) as case:
        await case.hold(*"12345")
        await case.round()
        assert erp.asked == [f"PO-{n}" for n in range(1, 6)]
        assert await case.held() == ["PO-2", "PO-3", "PO-5"]


async def test_any_of_several_sinks_may_know_an_order(tmp_path: Path) -> None:
    first, second, third = Erp(), Erp("PO-1"), Erp("PO-1")
    async with looking_up(tmp_path, make_sink(), first.sink(), second.sink(), third.sink()) as case:
        await case.hold("1")
        await case.round()
        assert (first.asked, second.asked, third.asked) == (["PO-1"], ["PO-1"], [])
        assert await case.held() == []


async def test_without_a_sink_that_looks_up_orders_nothing_happens(tmp_path: Path) -> None:
    async with looking_up(tmp_path, make_sink()) as case:
        await case.hold("1", ask=True)
        await case.round()
        assert await case.held() == ["PO-1"]


@pytest.mark.parametrize("answer", [None, "yes", 1, []])
async def test_an_answer_that_is_no_truth_value_makes_no_order_known(tmp_path: Path, answer: Any) -> None:
    async def knows(sink: object, reference: str) -> Any:
        return answer

    async with looking_up(tmp_path, make_sink(knows=knows)) as case:
        await case.hold("1")
        await case.round()
        assert (await case.held(), case.counts.answers) == (["PO-1"], [])


# -- trouble


@pytest.mark.parametrize(
    "trouble",
    [RetryLater("busy"), Misconfigured("refused"), ZeroDivisionError("bug"), SystemExit(3), asyncio.CancelledError()],
    ids=lambda error: type(error).__name__,
)
async def test_a_failure_holds_signals_longer_and_leaves_the_account_alone(
    tmp_path: Path, trouble: BaseException
) -> None:
    erp = Erp("PO-1", "PO-2")
    async with looking_up(tmp_path, erp.sink()) as case:
        erp.trouble = trouble
        await case.hold("1", "2")
        waits = []
        for _ in range(6):
            with capture_logs() as logs:
                await case.round()
            [line] = [line for line in logs if line["event"] == "order.lookup_failed"]
            waits.append(line["again_in"])
            case.gateway.clock.at += line["again_in"] - 1
            await case.round()
            case.gateway.clock.at += 1
        assert waits == [60, 120, 240, 480, 900, 900]
        assert erp.asked == ["PO-1"] * 6, "one failed question ends the round"
        assert await case.held() == ["PO-1", "PO-2"]
        erp.trouble = None
        await case.round()
        assert await case.held() == []
        assert case.counts.answers == ["failed"] * 6 + ["known"] * 2


async def test_a_target_may_ask_for_a_longer_rest(tmp_path: Path) -> None:
    erp = Erp()
    async with looking_up(tmp_path, erp.sink()) as case:
        erp.trouble = RetryLater("busy", 1800)
        await case.hold("1")
        with capture_logs() as logs:
            await case.round()
        assert [line["again_in"] for line in logs if line["event"] == "order.lookup_failed"] == [1800]


async def test_one_accounts_trouble_is_its_own(tmp_path: Path) -> None:
    async def knows(sink: Sink, reference: str) -> bool:
        if sink.context.account == "shop":
            raise RetryLater("down")
        return True

    async with looking_up(tmp_path, make_sink(knows=knows), accounts=("shop", "other")) as case:
        await case.hold("1")
        await case.hold("1", account="other")
        await case.round()
        assert (await case.held("shop"), await case.held("other")) == (["PO-1"], [])


async def test_a_sink_that_does_not_answer_is_cancelled_in_time(tmp_path: Path) -> None:
    async def knows(sink: object, reference: str) -> bool:
        await asyncio.Event().wait()
        return True

    tuning = Tuning(lookup_pace=0.0, lookup_within=0.05)
    async with looking_up(tmp_path, make_sink(knows=knows), tuning=tuning) as case:
        await case.hold("1")
        with capture_logs() as logs:
            await case.round()
        [line] = [line for line in logs if line["event"] == "order.lookup_failed"]
        assert line["reason"] == "no answer within 0.05 s"
        assert await case.held() == ["PO-1"]


async def test_a_reason_shows_no_secret(tmp_path: Path) -> None:
    erp = Erp()
    erp.trouble = RetryLater("the key s3cret is refused")
    routes = [(make_route("erp0"), erp.sink())]
    async with dispatching(tmp_path, routes, redact=lambda text: text.replace("s3cret", "***")) as gateway:
        case = Case(gateway, TUNING)
        await case.hold("1")
        with capture_logs() as logs:
            await case.round()
        assert [line["reason"] for line in logs if line["event"] == "order.lookup_failed"] == ["the key *** is refused"]


async def test_a_route_that_rests_or_is_paused_is_not_asked(tmp_path: Path) -> None:
    erp = Erp("PO-1")
    async with looking_up(tmp_path, erp.sink()) as case:
        runner = case.gateway.dispatcher.runners["shop", "erp0"]
        await until(lambda: followed(runner.state))
        await case.hold("1")
        await case.store.set_paused("shop", "erp0", True, case.gateway.clock.at, "")
        runner.state.follow(RouteState("shop", "erp0", paused=True))
        await case.round()
        assert (erp.asked, await case.held()) == ([], ["PO-1"])
        await case.store.set_paused("shop", "erp0", False, case.gateway.clock.at, "")
        runner.state.follow(RouteState("shop", "erp0"))
        await case.round()
        assert await case.held() == []


async def followed(state: Any) -> bool:
    return bool(state.followed)


# -- the end


async def test_a_stop_ends_a_question_and_the_sink_is_closed_after_it(tmp_path: Path) -> None:
    asked, events = asyncio.Event(), []

    async def knows(sink: object, reference: str) -> bool:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            events.append("question ended")
        return True

    async def close(sink: object) -> None:
        events.append("closed")

    async with looking_up(tmp_path, make_sink(knows=knows, close=close)) as case:
        await case.hold("1", ask=True)
        await asked.wait()
    assert events == ["question ended", "closed"]


async def test_only_one_gateway_on_a_shared_store_begins_rounds(tmp_path: Path) -> None:
    erp = Erp()
    async with looking_up(tmp_path, erp.sink()) as case:
        case.store.shared = True
        other = Case(case.gateway, TUNING)
        await case.hold("1")
        for _ in range(3):
            await case.round()
            await other.round()
        assert erp.asked == ["PO-1"] * 3
        case.gateway.clock.at += 2 * TUNING.lookup_round
        await other.round()
        await case.round()
        assert erp.asked == ["PO-1"] * 4
        await other.hold("2", ask=True)
        await case.hold("3", ask=True)
        await case.lookups.wait_until_idle()
        await other.lookups.wait_until_idle()
        assert erp.asked[4:] in (["PO-2", "PO-3"], ["PO-3", "PO-2"])
