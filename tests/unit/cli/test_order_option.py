"""The option --order: an order's signals, and requests of it in quarantine."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model import RetryAt
from gateway.store import Store
from gateway.store.values import Refused
from tests.contract.store_case import NOW, accept, claim, finish, numbered
from tests.support.folder import Folder, lines

BODY = '{"order":"4713","order_reference":"PO-4713","type":"ItemShipped","tracking":"","note":"%s"}'
WRONG = {"tracking": "must not be empty", "item": "is missing"}


@pytest.fixture
def orders(folder: Folder) -> Folder:
    """Two signals of order 4711, one of 4712, and refused requests of 4713, of 47130 and without JSON."""

    async def fill(store: Store) -> None:
        for number, order in ((1, "4711"), (2, "4712"), (3, "4711")):
            await accept(store, numbered(number, order=order, account="bookshop"), ["export"])
        first = await claim(store, routes=["export"], account="bookshop", limit=1)
        await finish(store, first, RetryAt(4e9, "no order has this reference yet"))
        await store.quarantine(Refused("bookshop", NOW, BODY % ("x" * 200), WRONG))
        for body in ('{"order": 47130}', "order=4713&type=ItemError", '{"order": "a\\"b"}', '{"note": "4713"}'):
            await store.quarantine(Refused("bookshop", NOW, body, {"type": "is missing"}))

    folder.fill(fill)
    return folder


@pytest.mark.parametrize("order", ["4711", "PO-4711"])
def test_explain_and_show_take_all_signals_of_an_order(orders: Folder, order: str) -> None:
    assert [row["signal"] for row in lines(orders.run("explain", "--order", order, "--json").output)][::2] == [1, 3]
    assert [row["id"] for row in lines(orders.run("show", "--order", order, "--json").output)] == [1, 3]
    for command in ("explain", "show"):
        text = orders.run(command, "--order", order).output
        assert text.count("PO-4711") >= 2


def test_the_reference_of_an_unknown_order_is_named(orders: Folder) -> None:
    text = orders.run("explain", "1").output
    assert "Signal 1: ItemShipped of order 4711 (your reference PO-4711)" in text
    assert "1 failed attempt (your reference PO-4711); the last: no order has this reference yet" in text


@pytest.mark.parametrize("command", ["explain", "show"])
def test_an_order_without_signals_is_an_error_that_looks_into_quarantine(orders: Folder, command: str) -> None:
    assert orders.run(command, "--order", "4713", code=1).stderr == (
        "there is no signal of the order 4713; 2 requests of it are in quarantine: "
        "`cloudsignal quarantine --order 4713`\n"
    )
    assert orders.run(command, "--order", "9", code=1).stderr == "there is no signal of the order 9\n"
    orders.run(command, "1", "--order", "4711", code=2)
    orders.run(command, code=2)


def test_signals_of_a_quarantined_order_are_told(orders: Folder) -> None:
    result = orders.run("signals", "--order", "PO-4713")
    assert result.stdout == "No signals.\n"
    assert result.stderr == "note: 1 request of it is in quarantine: `cloudsignal quarantine --order PO-4713`\n"
    result = orders.run("signals", "--order", "PO-4713", "--json")
    assert (result.stdout, "in quarantine" in result.stderr) == ("", True)
    assert "in quarantine" in orders.run("deliveries", "--order", "PO-4713").stderr
    assert "in quarantine" in orders.run("dead", "--order", "PO-4713").stderr
    assert orders.run("signals", "--order", "9").stderr == ""
    assert orders.run("signals", "--order", "4711").stderr == ""


@pytest.mark.parametrize(
    ("order", "ids"), [("4713", [3, 1]), ("PO-4713", [1]), ("47130", [2]), ('a"b', [4]), ("471", []), ("%", [])]
)
def test_quarantine_by_order(orders: Folder, order: str, ids: list[int]) -> None:
    assert [row["id"] for row in lines(orders.run("quarantine", "--order", order, "--json").output)] == ids
    assert [
        row["id"] for row in lines(orders.run("quarantine", "--order", order, "--limit", "1", "--json").output)
    ] == ids[:1]


def shown(orders: Folder, number: int) -> list[str]:
    return orders.run("quarantine", "show", str(number)).output.splitlines()


def test_quarantine_show_has_the_whole_body_and_marks_what_is_wrong(orders: Folder) -> None:
    text = shown(orders, 1)
    assert "  tracking: must not be empty" in text
    assert '! tracking             ""' in text
    assert "! item                 (missing)" in text
    assert "  order                4713" in text
    assert f"  note                 {'x' * 200}" in text
    assert text[-1].startswith("A replay would say now: refused: ")
    (row,) = lines(orders.run("quarantine", "show", "1", "--json").output)
    assert row["now"]["result"] == "refused"
    assert "x" * 200 in row["body"]


def test_quarantine_show_of_a_body_that_is_no_json(orders: Folder) -> None:
    assert "order=4713&type=ItemError" in shown(orders, 3)


def test_quarantine_show_says_that_a_replay_would_accept(orders: Folder) -> None:
    def fill(store: Store) -> Any:
        return store.quarantine(Refused("bookshop", NOW, '{"type": "ItemFolded"}', {"type": "is not known"}))

    text = shown(orders, orders.fill(fill))
    assert text[-2:] == ["A replay would say now: accepted, for export", "Next: cloudsignal quarantine replay 6"]
