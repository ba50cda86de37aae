"""Checks of routes against their targets. The answers hold no secret."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.model import SecretValue
from gateway.operate.check import RouteCheck, check_routes
from gateway.sink import Check, Sink
from gateway.sink.registry import Plugin
from tests.support.accounts import make_route

pytestmark = pytest.mark.gen_test


class Probed(Sink):
    """A sink that answers a check by the name of its route."""

    name = "probed"
    summary = "for this test"
    timeout = 0.05
    closed = 0

    async def check(self) -> Check:
        if self.context.route == "broken":
            raise OSError("no route to s3cret.example")
        if self.context.route == "slow":
            await asyncio.Event().wait()
        return Check(True, ("signed in with s3cret",))

    async def close(self) -> None:
        type(self).closed += 1


async def test_each_enabled_route_is_checked_and_closed() -> None:
    Probed.closed = 0
    names = ("good", "broken", "slow")
    routes = {("bookshop", name): replace(make_route(name, options={"n": name}), sink="probed") for name in names}
    routes["bookshop", "off"] = replace(make_route("off", enabled=False), sink="probed")
    loaded = {"probed": Plugin("probed", "a-package", "1", Probed)}
    config: Any = SimpleNamespace(routes=routes, loaded=loaded, secrets=frozenset({"s3cret"}))
    good, broken, slow = await check_routes(config)
    assert good == RouteCheck("bookshop", "good", "probed", True, ("signed in with ***",))
    assert not broken.ok
    assert broken.details[0].startswith("OSError: no route to ***.example (")
    assert "test_check.py:" in broken.details[0]
    assert (slow.ok, slow.details) == (False, ("no result within 0.05 s",))
    assert Probed.closed == 3


async def test_a_target_is_asked_once() -> None:
    asked: list[str] = []

    class Counted(Probed):
        async def check(self) -> Check:
            asked.append(self.context.account)
            return Check(False, ("refused",))

    def route(account: str, url: str) -> Any:
        options = {"url": url, "secret": SecretValue("same"), "more": [{"a": 1}]}
        return replace(make_route("alerts", options=options), account=account, sink="counted")

    urls = {"one": "u", "two": "u", "three": "v", "four": "{account}", "five": "{account}"}
    routes = {(account, "alerts"): route(account, url) for account, url in urls.items()}
    loaded = {"counted": Plugin("counted", "a-package", "1", Counted)}
    config: Any = SimpleNamespace(routes=routes, loaded=loaded, secrets=frozenset())
    found = await check_routes(config)
    assert [check.account for check in found] == list(urls)
    assert asked == ["one", "three", "four", "five"]
    assert [check.account for check in await check_routes(config, "two")] == ["two"]
