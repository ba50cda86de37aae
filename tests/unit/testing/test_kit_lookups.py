"""The kit's tests of `knows`: a good sink passes them, and a bad one fails the test of the rule that it breaks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.sink import Misconfigured, RetryLater, Sink, SinkError
from gateway.testing import SinkContract, Target, rig
from gateway.testing.lookup_contract import LookupContract
from tests.unit.testing.test_kit import rules_of, verdict

ERRORS = {"busy": RetryLater("busy"), "down": RetryLater("down"), "refusing": Misconfigured("refused")}


class Shop(Target):
    """A target in memory that has the order PO-1001."""

    def __init__(self) -> None:
        self.orders = ["PO-1001"]
        self.trouble = ""
        self.called = asyncio.Event()

    def options(self) -> Mapping[str, Any]:
        return {"shop": self}

    def effects(self) -> Sequence[Any]:
        return list(self.orders)

    async def healthy(self) -> None:
        self.trouble = ""

    async def busy(self, after: int | None = None) -> None:
        self.trouble = "busy"

    async def down(self) -> None:
        self.trouble = "down"

    async def refusing_credentials(self) -> None:
        self.trouble = "refusing"

    async def hanging(self) -> None:
        self.trouble = "hanging"

    async def wait_until_called(self) -> None:
        await self.called.wait()

    async def find(self, reference: str) -> list[str]:
        self.called.set()
        if self.trouble == "hanging":
            await asyncio.sleep(3600)
        if self.trouble:
            raise ERRORS[self.trouble]
        return [order for order in self.orders if order == reference]


class ShopSink(Sink):
    name = "shop"
    summary = "looks up orders"
    options = {"shop": object}

    async def deliver(self, delivery: Any) -> None:
        await self.settings["shop"].find("")

    async def knows(self, reference: str) -> bool | None:
        return bool(await self.settings["shop"].find(reference))


class ShopContract(SinkContract):
    sink = ShopSink

    def make_target(self, folder: Path) -> Target:
        return Shop()


@pytest.mark.parametrize("test", rules_of(LookupContract))
def test_a_good_sink_passes(test: str) -> None:
    assert verdict(ShopContract(), test) == ""


async def know_all(self: Any, reference: str) -> bool:
    return True


async def know_none(self: Any, reference: str) -> bool:
    return False


async def search_by_pattern(self: Any, reference: str) -> bool:
    return reference == "%" or await ShopSink.knows(self, reference) is True


async def write(self: Any, reference: str) -> bool:
    found = await self.settings["shop"].find(reference)
    self.settings["shop"].orders.append("another")
    return bool(found)


async def swallow(self: Any, reference: str) -> bool:
    try:
        return await ShopSink.knows(self, reference) is True
    except SinkError:
        return False


async def break_down(self: Any, reference: str) -> bool:
    try:
        found = await ShopSink.knows(self, reference)
    except SinkError:
        self.broken = True
        raise
    return found is True and "broken" not in self.__dict__


async def stay(self: Any, reference: str) -> bool | None:
    try:
        return await ShopSink.knows(self, reference)
    except asyncio.CancelledError:
        await asyncio.sleep(3600)
        return None


@pytest.mark.parametrize(
    ("test", "knows", "words"),
    [
        ("test_it_knows_the_orders_that_the_target_has", know_all, "must be False for 'surely no order', but is True"),
        ("test_it_knows_the_orders_that_the_target_has", know_none, "must be True for PO-1001"),
        ("test_it_knows_the_orders_that_the_target_has", search_by_pattern, "must be False for '%'"),
        ("test_it_knows_the_orders_that_the_target_has", write, "must change nothing"),
        ("test_a_target_that_is_down_gives_no_answer_about_orders", swallow, "is down, but it is False"),
        ("test_a_busy_target_gives_no_answer_about_orders", know_all, "is busy, but it is True"),
        ("test_a_busy_target_gives_no_answer_about_orders", break_down, "must work again"),
        ("test_refused_credentials_give_no_answer_about_orders", swallow, "refusing the credentials, but it is False"),
        ("test_a_question_to_a_hanging_target_can_be_cancelled", stay, "must end within 0.2 s"),
    ],
)
def test_a_broken_rule_fails_its_test(test: str, knows: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig, "CANCEL_WITHIN", 0.2)
    broken = type("Broken", (ShopSink,), {"knows": knows})
    contract = type("TestBroken", (ShopContract,), {"sink": broken})()
    assert re.search(words, verdict(contract, test)), verdict(contract, test)
