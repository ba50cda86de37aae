"""The commands orders list, orders show and orders rebuild."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway import signal_types as types
from gateway.model import Dead
from gateway.store.contract import Store
from tests.contract.store_case import accept, claim, finish
from tests.support.factory import make_signal
from tests.support.folder import Folder, lines

LONG_AGO = datetime.now(UTC) - timedelta(hours=60)


def signal(type: str, order: str, hours: float, **fields: str) -> Any:
    when = (LONG_AGO + timedelta(hours=hours)).isoformat()
    made = make_signal(type, order=order, order_reference=f"PO-{order}", datetime=when, id=0, **fields)
    return replace(made, received_at=datetime.now(UTC))


@pytest.fixture
def filled(folder: Folder) -> Folder:
    """A store with a shipped order, one in production for long, and one with a print error that the target refused."""

    async def fill(store: Store) -> None:
        await accept(store, signal(types.ITEM_PRODUCE, "1", 0, item="11"))
        await accept(store, signal(types.ITEM_SHIPPED, "1", 1, item="11", tracking="TRK1", shipping_option="dhl"))
        await accept(store, signal(types.ORDER_VALIDATED, "2", 0))
        await accept(store, signal(types.ITEM_PRODUCE, "2", 2, item="21"))
        await accept(store, signal(types.ITEM_PRODUCE, "2", 59, item="22"))
        await accept(store, signal(types.ITEM_ERROR, "3", 59, item="31", cause="Paper jam"), ["export"])
        later = time.time() + 60
        await finish(store, await claim(store, later, routes=["export"]), Dead("no such order"), later)
        await store.follow_orders("test", time.time(), time.time(), 100)

    folder.fill(fill)
    return folder


def listed(folder: Folder, *words: str) -> list[tuple[str, str]]:
    return [(row["order"], row["state"]) for row in lines(folder.run("orders", "list", *words, "--json").output)]


def test_orders_are_listed_with_their_states(filled: Folder) -> None:
    assert sorted(listed(filled)) == [("1", "shipped"), ("2", "in-production"), ("3", "problem")]
    text = filled.run("orders", "list").output
    for words in ("PO-1", "1 shipped", "2 in-production"):
        assert words in text


@pytest.mark.parametrize(
    ("words", "orders"),
    [
        (["--state", "problem"], ["3"]),
        (["--state", "shipped"], ["1"]),
        (["--state", "delivered"], []),
        (["--stuck", "48h"], ["2"]),
        (["--stuck", "30m"], ["2"]),
        (["--stuck", "90h"], []),
        (["--since", "2000-01-01"], ["1", "2", "3"]),
        (["--since", "2100-01-01"], []),
        (["--account", "bookshop"], ["1", "2", "3"]),
    ],
)
def test_orders_are_filtered(filled: Folder, words: list[str], orders: list[str]) -> None:
    assert sorted(order for order, _ in listed(filled, *words)) == orders


def test_an_empty_list_and_wrong_names_are_told(filled: Folder) -> None:
    assert "No orders." in filled.run("orders", "list", "--state", "canceled").output
    assert "there is no account 'bookshp'" in filled.run("orders", "list", "--account", "bookshp", code=1).output
    text = filled.run("orders", "show", "PO-9", code=1).output
    assert "there is no order, item or tracking number PO-9" in text


@pytest.mark.parametrize("name", ["1", "PO-1", "11", "TRK1"])
def test_an_order_is_found_by_each_of_its_names(filled: Folder, name: str) -> None:
    [shown] = lines(filled.run("orders", "show", name, "--json").output)
    assert (shown["order"], shown["state"], shown["stage"]) == ("1", "shipped", types.ITEM_SHIPPED)
    [item] = shown["items"]
    assert item["tracking"] == [{"number": "TRK1", "shipping_option": "dhl", "url": None}]
    assert [entry["type"] for entry in shown["timeline"]] == [types.ITEM_PRODUCE, types.ITEM_SHIPPED]


def test_an_order_is_shown_with_what_each_target_said(filled: Folder) -> None:
    text = filled.run("orders", "show", "3").output
    for words in ("Order 3 (your reference PO-3) of bookshop", "ItemError Paper jam", "given up at", "no such order"):
        assert words in text
    assert re.search(r"export, attempt 1 at [-\d]+ [:\d]+: permanent: no such order", text)
    assert "cloudsignal replay 6 --route export" in text


def test_an_order_is_shown_before_its_signals_were_added_to_a_state(filled: Folder) -> None:
    filled.fill(lambda store: accept(store, signal(types.ITEM_PRODUCE, "5", 1, item="51")))
    [shown] = lines(filled.run("orders", "show", "5", "--json").output)
    assert (shown["state"], len(shown["timeline"])) == (None, 1)
    assert "Its state follows" in filled.run("orders", "show", "5").output


def test_states_are_made_anew_also_of_signals_that_were_not_added(filled: Folder) -> None:
    filled.fill(lambda store: accept(store, signal(types.ITEM_PRODUCE, "5", 1, item="51")))
    filled.change("UPDATE order_states SET stage = 10")
    assert "4 orders made anew." in filled.run("orders", "rebuild").output
    assert sorted(listed(filled)) == [
        ("1", "shipped"),
        ("2", "in-production"),
        ("3", "problem"),
        ("5", "in-production"),
    ]
    [action] = filled.rows("SELECT action, detail FROM actions")
    assert action == ("orders-rebuild", '{"orders":4}')


def test_the_states_of_an_empty_store_are_made_anew(folder: Folder) -> None:
    async def nothing(store: Store) -> None:
        pass

    folder.fill(nothing)
    assert "0 orders made anew." in folder.run("orders", "rebuild").output
