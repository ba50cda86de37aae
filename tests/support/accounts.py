"""Accounts for tests: two clients of one reseller, with keys and routes."""

from __future__ import annotations

from typing import Any

from gateway import keys
from gateway.model import ALL, Account, Key, Route
from gateway.signal_types import ALERTS
from tests.support.payloads import KEY, OTHER_KEY


def make_route(name: str = "erp", account: str = "bookshop", **fields: Any) -> Route:
    return Route(account, "acme", name, **{"sink": "fake", "signals": ALL, **fields})


def make_account(name: str = "bookshop", key: str = KEY, **fields: Any) -> Account:
    """Return an account with three routes: all types in lanes, alerts without lanes, and one that is disabled."""
    routes = (
        make_route("erp", name),
        make_route("alerts", name, signals=ALERTS, order="none"),
        make_route("off", name, enabled=False),
    )
    known = {"tenant": "acme", "keys": (Key(keys.hash_key(key), "main"),), "routes": {r.name: r for r in routes}}
    return Account(name, **{**known, **fields})


def make_accounts(**fields: Any) -> dict[str, Account]:
    """Return the accounts `bookshop`, with KEY and these fields, and `printshop`, with OTHER_KEY."""
    return {"bookshop": make_account(**fields), "printshop": make_account("printshop", OTHER_KEY)}
