"""Looks at the store: what metrics show of backlog, dead letters, quarantine, alerts and keys."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.alerts import Alert, Condition
from gateway.errors import StoreError
from gateway.keys import hash_key
from gateway.metrics import Observer
from gateway.model import Key
from gateway.operate.figures import StoreLooks
from gateway.operate.in_force import mark_key
from gateway.store.values import Backlog
from tests.support.accounts import make_account

pytestmark = pytest.mark.gen_test

NOW = 1_800_000_000.0
END = datetime(2027, 1, 31, tzinfo=UTC)
OLD, NEW = Key(hash_key("an-old-key-of-the-shop"), "old", END), Key(hash_key("a-new-key-of-the-shop"), "new")


class FakeStore:
    """A store with one of each kind; `error` is raised instead, once."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.backlog = {("shop", "erp"): Backlog(4, 1, NOW - 60), ("shop", "ahead"): Backlog(1, 1, NOW + 5)}

    async def read_backlog(self) -> Any:
        if self.error:
            error, self.error = self.error, None
            raise error
        return self.backlog

    async def count_dead(self) -> Any:
        return {("shop", "erp"): 2}

    async def count_quarantined(self) -> Any:
        return {"shop": 3}

    async def read_open_alerts(self) -> Any:
        quiet = [Condition("shop", "no signal", watch="quiet", subject=subject) for subject in ("a", "b", "waits")]
        sick = Condition("shop", "it rests", cause="route", subject="erp", severity="failure")
        raised = [Alert(number, each, NOW, NOW) for number, each in enumerate([*quiet[:2], sick])]
        return {alert.condition.key: alert for alert in [*raised, Alert(9, quiet[2], NOW)]}

    async def read_key_uses(self) -> Any:
        return {("shop", mark_key(OLD)): NOW - 10, ("shop", "f00"): NOW, ("gone", mark_key(NEW)): NOW}


class Seen(Observer):
    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.looks = 0
        self.twice = asyncio.Event()

    def __getattribute__(self, name: str) -> Any:
        if not name.endswith("_found"):
            return super().__getattribute__(name)
        return lambda values: self.told.__setitem__(name, values)

    def store_looked_at(self, seconds: float) -> None:
        self.looks += 1
        if self.looks == 2:
            self.twice.set()


def make_looks(store: Any) -> tuple[StoreLooks, Seen]:
    seen = Seen()
    config: Any = SimpleNamespace(accounts={"shop": make_account("shop", keys=(OLD, NEW))})
    return StoreLooks(store, lambda: config, seen, lambda: NOW), seen


async def test_a_look_tells_everything_by_its_labels() -> None:
    looks, seen = make_looks(FakeStore())
    await looks.look()
    assert seen.told == {
        "pending_found": {("shop", "erp"): 4, ("shop", "ahead"): 1},
        "oldest_pending_found": {("shop", "erp"): 60, ("shop", "ahead"): 0},
        "dead_letters_found": {("shop", "erp"): 2},
        "quarantine_found": {("shop",): 3},
        "open_alerts_found": {("shop", "quiet", "warning"): 2, ("shop", "route", "failure"): 1},
        "key_ends_found": {("shop", "old"): END.timestamp()},
        "key_uses_found": {("shop", "old"): NOW - 10},
    }


@pytest.mark.parametrize("error", [StoreError("away"), ZeroDivisionError()], ids=lambda error: type(error).__name__)
async def test_a_look_that_fails_is_logged_and_the_next_one_follows(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.operate.figures.LOOK_EVERY", 0.0)
    monkeypatch.setattr("gateway.operate.figures.LOOK_REST", 0)
    store = FakeStore()
    store.error = error
    looks, seen = make_looks(store)
    with capture_logs() as logs:
        watching = asyncio.create_task(looks.watch())
        await seen.twice.wait()
        watching.cancel()
    assert [line["event"] for line in logs] == ["store.look_failed"]
    assert seen.told["pending_found"]
