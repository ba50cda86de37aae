"""The store's contract: the configuration in force, the uses of keys, and the end of an account."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model import RetryAt
from gateway.store.contract import Store
from gateway.store.values import ConfigPart, Filter, Forgotten, Refused
from tests.contract.store_case import DELIVERED, NOW, Backend, accept, claim, finish, numbered, states
from tests.support.factory import ACCOUNT
from tests.support.ledger import read_ledger

pytestmark = pytest.mark.gen_test

OTHER = "other_shop"
LIKE_OTHER = "other-shop"
SHOP = ConfigPart("account", "shop", {"tenant": "acme", "keys": [["ab12cd", "old"]], "routes": {}})


# -- the configuration in force


async def test_the_parts_in_force_are_replaced_and_accounts_that_leave_are_kept(backend: Backend) -> None:
    second = ConfigPart("account", "second", {"tenant": "acme"})
    include = ConfigPart("include", "tenants/*.yaml", {"files": ["a", "b"]})
    setting = ConfigPart("setting", "server.listen", {"mark": "ab"})
    async with backend.open() as store:
        assert await store.read_in_force() == []
        await store.save_in_force([SHOP, second, include, setting], NOW)
        assert await store.read_in_force() == [second, SHOP, include, setting]

        changed = replace(SHOP, detail={"tenant": "new"})
        await store.save_in_force([changed], NOW + 5)
        left = replace(second, left_at=NOW + 5)
        assert await store.read_in_force() == [left, changed]
        await store.save_in_force([changed], NOW + 9)
        assert await store.read_in_force() == [left, changed]

        await store.save_in_force([changed, second], NOW + 10)
        assert await store.read_in_force() == [second, changed]


async def test_many_parts_are_saved(backend: Backend) -> None:
    parts = [ConfigPart("account", f"shop-{number:04}", {}) for number in range(1000)]
    async with backend.open() as store:
        await store.save_in_force(parts, NOW)
        await store.save_in_force(parts[:1], NOW + 1)
        found = await store.read_in_force()
    assert [part.left_at for part in found] == [None] + [NOW + 1] * 999


async def test_a_left_account_is_taken_out_with_an_action(backend: Backend) -> None:
    async with backend.open() as store:
        await store.save_in_force([SHOP], NOW)
        assert await store.remove_in_force("shop", NOW)
        assert not await store.remove_in_force("shop", NOW)
        assert await store.read_in_force() == []
        (action,) = await store.list_actions("keep", 5)
        assert action.detail == {"account": "shop"}


# -- uses of keys


async def test_the_last_use_of_each_key_is_kept(backend: Backend) -> None:
    async with backend.open() as store:
        await store.note_key_uses({("shop", "aa"): NOW, ("shop", "bb"): NOW + 1})
        await store.note_key_uses({("shop", "aa"): NOW - 60, ("shop", "bb"): NOW + 2, ("other", "aa"): NOW + 3})
        uses = {("shop", "aa"): NOW, ("shop", "bb"): NOW + 2, ("other", "aa"): NOW + 3}
        assert await store.read_key_uses() == uses
        await store.note_key_uses({})


# -- the end of an account


async def fill(store: Store, account: str) -> None:
    """Give an account a delivered, a failed and a held signal, and something in each other table."""
    for number in (1, 2):
        await accept(store, numbered(number, order=str(number), account=account))
    await accept(store, numbered(3, order="3", account=account), hold=True)
    first, second = await claim(store, account=account)
    state = {(account, "erp"): {"place": 1}}
    await finish(store, [first], DELIVERED, state=state)
    await finish(store, [second], RetryAt(NOW + 60, "busy"))
    for body in ("a", "b"):
        await store.quarantine(Refused(account, NOW, body, {"type": "wrong"}))
    await store.add_known_orders(account, ["PO-9"], NOW)
    await store.set_paused(account, "erp", True, NOW, "a client's secret reason")
    await store.own_routes([(account, "erp")], "me", NOW, NOW + 60)
    await store.note_key_uses({(account, "aa"): NOW})
    await store.save_in_force([ConfigPart("account", name, {}) for name in (ACCOUNT, OTHER, LIKE_OTHER)], NOW)


async def forget_all(store: Store, account: str, limit: int) -> Forgotten:
    total = Forgotten()
    while not total.done:
        batch = await store.forget(account, limit, NOW)
        assert batch.signals <= limit
        total = Forgotten(
            total.signals + batch.signals,
            total.deliveries + batch.deliveries,
            total.pending + batch.pending,
            total.quarantined + batch.quarantined,
            total.orders + batch.orders,
            batch.done,
        )
    return total


@pytest.mark.parametrize("limit", [1, 100])
async def test_all_rows_of_an_account_go_and_no_others(backend: Backend, limit: int) -> None:
    async with backend.open() as store:
        for account in (OTHER, LIKE_OTHER):
            await fill(store, account)
        counted = await store.count_forget(OTHER)
        assert counted == Forgotten(signals=3, deliveries=3, pending=2, quarantined=2, orders=1)
        assert await forget_all(store, OTHER, limit) == replace(counted, done=True)
        assert await store.count_forget(OTHER) == Forgotten()
        assert await store.forget(OTHER, limit, NOW) == Forgotten(done=True)

        assert await store.count_forget(LIKE_OTHER) == counted
        assert len(await states(store, account=LIKE_OTHER)) == 3
        assert await store.read_sink_state(OTHER, "erp") == {}
        assert await store.read_sink_state(LIKE_OTHER, "erp") == {"place": 1}
        assert list(await store.read_route_states()) == [(LIKE_OTHER, "erp")]
        assert list(await store.read_key_uses()) == [(LIKE_OTHER, "aa")]
        assert [part.name for part in await store.read_in_force()] == [ACCOUNT, LIKE_OTHER]
        assert {action.detail["account"] for action in await store.list_actions(None, 100)} == {LIKE_OTHER}
        assert {row.signal.account for row in await store.list_signals(Filter(), 10)} == {LIKE_OTHER}
        assert {account for account, _ in await read_ledger(store)} == {LIKE_OTHER}


async def test_a_new_account_of_the_name_begins_with_nothing(backend: Backend) -> None:
    async with backend.open() as store:
        await fill(store, OTHER)
        await forget_all(store, OTHER, 100)
        assert await claim(store, NOW + 3600, account=OTHER) == []
        await accept(store, numbered(1, order="1", account=OTHER))
        (delivery,) = await claim(store, NOW + 3600, account=OTHER)
        assert delivery.attempt == 1


async def test_removed_text_is_not_in_the_file(backend: Backend) -> None:
    if not backend.url.startswith("sqlite"):
        pytest.skip("a server keeps the files")
    async with backend.open() as store:
        await store.quarantine(Refused(OTHER, NOW, "a body of the client", {}))
        await forget_all(store, OTHER, 100)
    assert b"a body of the client" not in Path(backend.url.removeprefix("sqlite:///")).read_bytes()
