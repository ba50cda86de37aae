"""Tables on terminals of any width: no id, type, date or time is broken or cut."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from gateway.cli.table import lay_out
from gateway.model import Dead, lane_of
from gateway.store import Store
from gateway.store.values import Refused, RouteState, Target
from tests.contract.store_case import NOW, claim, finish
from tests.support.factory import make_signal
from tests.support.folder import CONFIG, Folder

REASON = "no order has this reference as client_order_ref or name yet, at 2026-11-28 07:00:04 UTC"
LONG = "a-client-with-a-rather-long-name-of-its-own"
NAMES = ["id", "received (UTC)", "type", "why"]
ROWS = [
    ["280340900000", "2026-11-28 07:00:04", "CloudprinterOrderValidated", REASON],
    ["2", "2026-11-28 07:00:05", "ItemError", "-"],
]


def test_a_table_that_fits_has_a_line_for_each_row() -> None:
    assert (
        lay_out(NAMES, ROWS, None)
        == lay_out(NAMES, ROWS, 300)
        == [
            "id            received (UTC)       type                        why",
            f"280340900000  2026-11-28 07:00:04  CloudprinterOrderValidated  {REASON}",
            "2             2026-11-28 07:00:05  ItemError                   -",
        ]
    )


def test_sentences_are_wrapped_beside_the_other_columns_if_there_is_room() -> None:
    assert lay_out(NAMES, ROWS, 105)[1:3] == [
        "280340900000  2026-11-28 07:00:04  CloudprinterOrderValidated  no order has this reference as",
        "                                                               client_order_ref or name yet, at",
    ]


def test_columns_that_do_not_fit_stand_below_with_their_names() -> None:
    assert lay_out(NAMES, ROWS, 80) == [
        "id            received (UTC)       type",
        "280340900000  2026-11-28 07:00:04  CloudprinterOrderValidated",
        "    why: no order has this reference as client_order_ref or name yet, at",
        "    2026-11-28 07:00:04 UTC",
        "2             2026-11-28 07:00:05  ItemError",
    ]


def test_a_column_without_any_value_is_left_out() -> None:
    assert lay_out(["id", "marks", "n"], [["1", "-", "0"], ["2", "-", "3"]], 80) == ["id  n", "1   0", "2   3"]


@pytest.mark.parametrize("width", [1, 10, 20, 30, 40, 60, 80, 100, 132, 200])
def test_no_word_is_broken_and_no_line_too_long(width: int) -> None:
    text = lay_out(NAMES, ROWS, width)
    for value in ("280340900000", "2026-11-28 07:00:04", "2026-11-28 07:00:05", "CloudprinterOrderValidated"):
        assert any(value in line for line in text)
    assert width < 32 or all(len(line) <= width for line in text)


def test_wide_characters_take_two_columns() -> None:
    lines = lay_out(["order", "item"], [["注文", "1"], ["2", "2"]], 80)
    assert [cell_len(line) for line in lines] == [11, 8, 8]


# -- the commands


@pytest.fixture(params=["bookshop", LONG], ids=["short names", "long names"])
def busy(folder: Folder, request: pytest.FixtureRequest) -> Folder:
    """A store with long values in each listing."""
    account = request.param
    (folder.path / "gateway.yaml").write_text(CONFIG.replace("bookshop:", f"{account}:"))

    async def fill(store: Store) -> None:
        for item in ("2803409000001", "2803409000002"):
            signal = make_signal("ItemError", account=account, order="280340900000", item=item)
            signal = replace(signal, type="CloudprinterOrderValidated", order_reference="PO-2026-000000004711-B")
            routes = [Target(name, lane_of(signal, "lane")) for name in ("export", "alerts")]
            await store.accept(signal, routes, [], False)
        (first, *_) = await claim(store, routes=["export"], account=account)
        await finish(store, [first], Dead(REASON))
        await store.quarantine(
            Refused(account, NOW, '{"order": "280340900000"}', {"item": "is missing", "type": REASON})
        )
        await store.save_route_state(RouteState(account, "export", failures=5, opened=1, probe_at=NOW, reason=REASON))

    folder.fill(fill)
    return folder


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize(
    "command", ["signals", "deliveries", "dead", "quarantine", "routes", "show 1", "explain 1", "audit"]
)
def test_a_listing_fits_the_terminal(busy: Folder, monkeypatch: pytest.MonkeyPatch, command: str, width: int) -> None:
    whole = busy.run(*command.split()).stdout
    monkeypatch.setenv("COLUMNS", str(width))
    shown = busy.run(*command.split()).stdout
    assert all(len(line) <= width for line in shown.splitlines())
    assert words(whole) <= words(shown)
    assert sorted(TIME.findall(whole)) == sorted(TIME.findall(shown))


TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def words(text: str) -> set[str]:
    """Return the words of a text; the name of a column below a row has a colon, and no value has no name there."""
    return {word.rstrip(":") for word in text.split()} - {"-"}
