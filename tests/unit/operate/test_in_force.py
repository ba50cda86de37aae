"""Configurations compared part by part: changes, mistakes, and names that another client had."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from gateway.config.schema import MAIN_SCHEMA
from gateway.config.settings import Admin, Config, Include, Log, Server
from gateway.keys import hash_key
from gateway.model import Account, Key, Route, SecretValue
from gateway.operate.in_force import compare, find_dangers, find_reused_names, mark_of, parts_of
from gateway.store.contract import Settings
from gateway.store.values import Backlog, ConfigPart


def make_route(account: str, name: str = "erp", **fields: Any) -> Route:
    options = {"url": "https://erp.example.com", "api_key": SecretValue("a-secret-of-the-erp")}
    return Route(**{"account": account, "tenant": "acme", "name": name, "sink": "odoo", "options": options, **fields})


def make_key(text: str, label: str = "key-1") -> Key:
    return Key(hash_key(text), label)


def make_account(name: str, *keys: Key, routes: tuple[str, ...] = ("erp",), **fields: Any) -> Account:
    made = {route: make_route(name, route) for route in routes}
    given = {"tenant": "acme", "keys": keys or (make_key(f"key-of-{name}"),), "routes": made, **fields}
    return Account(name, **given)


def make_config(*accounts: Account, includes: tuple[Include, ...] = (), **fields: Any) -> Config:
    values = {
        "path": "gateway.yaml",
        "server": Server(**{"tls": None, **MAIN_SCHEMA({})["server"]}),
        "admin": Admin(**MAIN_SCHEMA({"admin": {}})["admin"]),
        "store": Settings("sqlite:///gateway.db"),
        "retention": 90.0,
        "log": Log("json", "info"),
        "plugins": ("odoo",),
        "loaded": {},
        "accounts": {account.name: account for account in accounts},
        "secrets": frozenset(),
        "includes": includes,
    }
    return Config(**{**values, **fields})  # type: ignore[arg-type]


def changes(before: Config, after: Config, **pending: int) -> list[str]:
    backlog = {tuple(name.split("__")): Backlog(count, 0, None) for name, count in pending.items()}
    return [str(change) for change in compare(parts_of(before), parts_of(after), backlog)]  # type: ignore[arg-type]


def test_the_same_configuration_has_no_changes() -> None:
    def make() -> Config:
        return make_config(make_account("a"), make_account("b"), includes=(Include("*.yaml", ("a", "b")),))

    assert changes(make(), make()) == []


def test_accounts_come_and_go_with_what_is_pending() -> None:
    before, after = make_config(make_account("a"), make_account("b")), make_config(make_account("a"), make_account("c"))
    assert changes(before, after, b__erp=3, b__gone=1, a__erp=9) == [
        "account b goes: 3 pending on erp, 1 pending on gone",
        "account c comes",
    ]


def test_each_change_of_an_account_is_told() -> None:
    old, new = make_key("old-key", "old"), make_key("new-key", "new")
    before = make_config(make_account("a", old, routes=("erp", "csv", "alerts")))
    account = make_account("a", new, routes=("erp", "csv", "slack"), tenant="globex", rate=5.0)
    account = replace(account, routes={**account.routes, "csv": make_route("a", "csv", enabled=False)})
    assert changes(before, make_config(account), a__alerts=2, a__erp=1) == [
        "account a changes: tenant acme -> globex; option rate None -> 5.0; key old goes; key new comes; "
        "route alerts goes; route slack comes; route csv changes; 2 pending on alerts"
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"options": {"url": "https://erp.example.com", "api_key": SecretValue("another-secret")}},
        {"sink": "tryton"},
        {"signals": frozenset({"ItemShipped"})},
        {"rate": 1.0},
        {"enabled": False},
    ],
)
def test_a_changed_route_is_told_and_its_secrets_are_not(fields: dict[str, Any]) -> None:
    before = make_account("a")
    after = replace(before, routes={"erp": make_route("a", **fields)})
    assert changes(make_config(before), make_config(after)) == ["account a changes: route erp changes"]


def test_another_tenant_changes_no_route() -> None:
    before = make_account("a")
    routes = {"erp": make_route("a", tenant="globex")}
    after = replace(before, tenant="globex", routes=routes)
    assert changes(make_config(before), make_config(after)) == ["account a changes: tenant acme -> globex"]


def test_includes_and_settings_change() -> None:
    before = make_config(make_account("a"), includes=(Include("n/*.yaml", ("n/1", "n/2")), Include("old", ("old",))))
    after = make_config(make_account("a"), includes=(Include("n/*.yaml", ()), Include("new", ("new",))), retention=30.0)
    assert changes(before, after) == [
        "include old goes",
        "include n/*.yaml changes: n/1 goes; n/2 goes",
        "include new comes",
        "setting store.retention changes",
    ]


def test_parts_hold_no_secret() -> None:
    config = make_config(make_account("a"), store=Settings("postgresql://me:password@db/gateway"))
    shown = repr(parts_of(config))
    for secret in ("a-secret-of-the-erp", "password", "key-of-a", hash_key("key-of-a").hex()):
        assert secret not in shown
    marks = re.findall(r"'mark': '([0-9a-f]+)'", shown)
    assert marks
    assert {len(mark) for mark in marks} == {4}


def test_a_mark_is_the_same_in_each_process() -> None:
    class Opaque:
        pass

    assert mark_of({"a": {1, 2}, "b": Opaque()}) == mark_of({"b": Opaque(), "a": {2, 1}})
    assert mark_of({"a": [1, 2]}) != mark_of({"a": [2, 1]})


# -- mistakes


@pytest.mark.parametrize(("gone", "refused"), [(0, False), (1, False), (2, False), (3, True), (4, True)])
def test_more_than_half_of_the_accounts_is_a_mistake(gone: int, refused: bool) -> None:
    accounts = [make_account(name) for name in "abcd"]
    dangers = find_dangers(parts_of(make_config(*accounts)), parts_of(make_config(*accounts[gone:], make_account("z"))))
    assert bool(dangers) is refused
    if refused:
        assert dangers[0].startswith(f"{gone} of 4 accounts would go: a, b, c")


def test_many_names_are_shortened() -> None:
    before = make_config(*(make_account(f"shop{number}") for number in range(9)))
    (danger,) = find_dangers(parts_of(before), parts_of(make_config(make_account("z"))))
    assert danger == "9 of 9 accounts would go: shop0, shop1, shop2, shop3, shop4 and 4 more"


def test_an_account_that_left_before_does_not_count() -> None:
    before = [replace(part, left_at=1.0) for part in parts_of(make_config(make_account("a"), make_account("b")))]
    assert find_dangers(before, parts_of(make_config(make_account("c")))) == []


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [(("x",), (), True), ((), (), False), ((), ("x",), False), (("x", "y"), ("x",), False), (("x",), None, False)],
)
def test_an_include_that_lost_all_files_is_a_mistake(before: Any, after: Any, refused: bool) -> None:
    def parts(files: Any) -> list[ConfigPart]:
        includes = () if files is None else (Include("*.yaml", files),)
        return parts_of(make_config(make_account("a"), includes=includes))

    assert bool(find_dangers(parts(before), parts(after))) is refused


# -- names


OLD, NEW = make_key("old-key", "old"), make_key("new-key", "new")


@pytest.mark.parametrize(
    ("left", "keys", "tenant", "reused"),
    [
        (True, (NEW,), "acme", True),
        (True, (NEW,), "globex", True),
        (True, (NEW, OLD), "globex", False),
        (True, (OLD,), "acme", False),
        (False, (NEW,), "acme", False),
        (False, (NEW,), "globex", True),
        (False, (OLD,), "globex", False),
    ],
)
def test_another_client_is_known_by_its_keys(left: bool, keys: tuple[Key, ...], tenant: str, reused: bool) -> None:
    known = [
        replace(part, left_at=1.0 if left else None)
        for part in parts_of(make_config(make_account("a", OLD)))
        if part.kind == "account"
    ]
    config = make_config(make_account("a", *keys, tenant=tenant), make_account("b"))
    assert find_reused_names(known, config) == (["a"] if reused else [])
