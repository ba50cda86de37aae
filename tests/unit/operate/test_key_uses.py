"""The last uses of keys reach the store every minute, and cost nothing where it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.errors import StoreError
from gateway.keys import hash_key
from gateway.model import Key
from gateway.operate.in_force import mark_key
from gateway.operate.key_uses import KeyUses

pytestmark = pytest.mark.gen_test
KEY = Key(hash_key("a-key-of-the-shop"), "main")


class FakeStore:
    def __init__(self, error: Exception | None = None) -> None:
        self.noted: list[Mapping[tuple[str, str], float]] = []
        self.error = error

    async def note_key_uses(self, uses: Mapping[tuple[str, str], float]) -> None:
        if self.error:
            raise self.error
        self.noted.append(uses)


def ingest(*uses: tuple[str, Key, float]) -> Any:
    left = list(uses)

    def take() -> list[tuple[str, Key, float]]:
        taken = list(left)
        left.clear()
        return taken

    return SimpleNamespace(take_key_uses=take)


async def test_a_use_is_saved_under_the_keys_mark_at_most_once_a_minute() -> None:
    store: Any = FakeStore()
    uses: list[tuple[str, Key, float]] = [("shop", KEY, 1000.0)]
    key_uses = KeyUses(SimpleNamespace(take_key_uses=lambda: uses), store)  # type: ignore[arg-type]
    mark = ("shop", mark_key(KEY))
    for at in (1000.0, 1005.0, 1059.0):
        uses[:] = [("shop", KEY, at)]
        await key_uses.save()
    assert store.noted == [{mark: 1000.0}]
    uses.clear()
    await key_uses.save(all=True)
    assert store.noted[1:] == [{mark: 1059.0}]
    uses[:] = [("shop", KEY, 1119.0)]
    await key_uses.save()
    assert store.noted[2:] == [{mark: 1119.0}]


async def test_a_store_that_is_away_is_logged() -> None:
    store: Any = FakeStore(StoreError("the disk is full"))
    with capture_logs() as logs:
        await KeyUses(ingest(("shop", KEY, 1000.0)), store).save()
    assert [(line["event"], line["reason"]) for line in logs] == [("store.key_uses_failed", "the disk is full")]


async def test_uses_are_saved_again_and_again() -> None:
    store: Any = FakeStore()
    told = asyncio.Event()
    task = asyncio.create_task(KeyUses(ingest(("shop", KEY, 1000.0)), store).watch(told.set, every=0))
    await asyncio.wait_for(told.wait(), 60)
    task.cancel()
    assert len(store.noted) == 1
