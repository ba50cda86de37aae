"""A quarantined request is judged by the present configuration."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson

from gateway.operate.quarantine import Verdict, judge
from gateway.store.values import QuarantineRow
from tests.support.accounts import make_account, make_route
from tests.support.factory import AT
from tests.support.payloads import example


def verdict(payload: Any, account: str = "bookshop", **settings: Any) -> Verdict:
    routes = {
        "export": make_route("export"),
        "alerts": make_route("alerts", signals=frozenset({"ItemError"})),
        "off": make_route("off", enabled=False),
    }
    config: Any = SimpleNamespace(accounts={"bookshop": make_account(routes=routes, **settings)})
    body = payload if isinstance(payload, str) else orjson.dumps(payload).decode()
    return judge(config, QuarantineRow(7, account, 1.0, body, {}), AT)


def test_a_valid_request_is_accepted_with_the_routes_that_ask_for_it() -> None:
    assert verdict(example("ItemPacked")) == Verdict(7, "bookshop", "accepted", routes=["export"])
    assert verdict(example("ItemError")).routes == ["export", "alerts"]


def test_a_request_that_is_still_wrong_is_refused_with_its_errors() -> None:
    assert verdict(example("ItemPacked", order=None)).errors == {"order": "must not be null"}
    assert verdict("[1]").result == "refused"


def test_an_unknown_type_is_for_the_account_to_accept() -> None:
    folded = {**example("ItemPacked"), "type": "ItemFolded"}
    assert verdict(folded).result == "accepted"
    assert "type" in verdict(folded, unknown_types="reject").errors


def test_an_incomplete_signal_is_for_the_account_to_accept() -> None:
    shipped = example("ItemShipped", tracking="")
    assert verdict(shipped).errors == {"tracking": "must not be empty"}
    assert verdict(shipped, incomplete="accept").result == "accepted"
    assert verdict(example("ItemShipped", tracking=[]), incomplete="accept").errors == {"tracking": "must be text"}


def test_an_account_that_is_gone_is_told() -> None:
    assert verdict(example("ItemPacked"), "gone").errors == {"account": "is not configured"}
