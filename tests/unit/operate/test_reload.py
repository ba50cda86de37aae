"""A reload is asked for by a signal, and answered through the store."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.operate import reload
from gateway.store.values import Action

pytestmark = pytest.mark.gen_test
PROCESS = 4711


class FakeStore:
    """A store that finds one more of these actions at each look."""

    def __init__(self, *answers: Action) -> None:
        self.actions = [answer(1, PROCESS, "of the last reload")]
        self.answers = list(answers)

    async def list_actions(self, action: str, limit: int) -> Sequence[Action]:
        found = self.actions[:limit]
        if self.answers:
            self.actions.insert(0, self.answers.pop(0))
        return found


def answer(id: int, process: int, trouble: str = "") -> Action:
    return Action(id, 1.0, "gateway", "reload", {"process": process, "trouble": trouble})


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return the signals sent. Nobody waits between two looks."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda process, number: found.append((process, number)))
    monkeypatch.setattr(reload, "POLL_EVERY", 0)
    return found


async def request(store: FakeStore, timeout: float = 60.0) -> None:
    await reload.request_reload(store, PROCESS, timeout)  # type: ignore[arg-type]


async def test_the_answer_is_the_next_one_of_that_process(sent: list[tuple[int, int]]) -> None:
    await request(FakeStore(answer(2, 99, "of another gateway"), answer(3, PROCESS)))
    assert sent == [(PROCESS, signal.SIGHUP)]


async def test_a_refused_configuration_is_told_with_its_problems() -> None:
    with pytest.raises(GatewayError, match=r"goes on with its last configuration:\ntenants/acme\.yaml:9"):
        await request(FakeStore(answer(2, PROCESS, "tenants/acme.yaml:9: accounts: required")))


async def test_the_changes_are_told() -> None:
    action = answer(2, PROCESS)
    action.detail["changes"] = ["account shop comes"]  # type: ignore[index]
    store: Any = FakeStore(action)
    assert await reload.request_reload(store, PROCESS, 60) == reload.Reloaded(["account shop comes"], ())


async def test_no_answer_in_time_is_told() -> None:
    with pytest.raises(GatewayError, match="it has not answered within 0 s; see its log"):
        await request(FakeStore(), timeout=0.0)


def answer_of_worker(id: int, process: int, trouble: str = "") -> Action:
    action = answer(id, process, trouble)
    action.detail.update(parent=PROCESS, workers=2)  # type: ignore[attr-defined]
    return action


async def test_each_worker_must_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = answer_of_worker(2, 7), answer(3, 99, "of another gateway"), answer_of_worker(4, 8)
    await request(FakeStore(*workers))
    with pytest.raises(GatewayError, match=r"last configuration:\nno room$"):
        await request(FakeStore(answer_of_worker(2, 7), answer_of_worker(3, 8, "no room")))
    monkeypatch.setattr(reload, "time", SimpleNamespace(monotonic=itertools.count().__next__))
    with pytest.raises(GatewayError, match="only 1 of its 2 workers have answered within 9 s"):
        await request(FakeStore(answer_of_worker(2, 7)), timeout=9.0)


async def test_one_worker_may_be_asked_alone() -> None:
    action = answer(2, PROCESS)
    action.detail.update(parent=1, workers=2)  # type: ignore[attr-defined]
    await request(FakeStore(action))


async def test_a_process_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(process: int, number: int) -> None:
        raise ProcessLookupError(3, "No such process")

    monkeypatch.setattr(os, "kill", kill)
    with pytest.raises(GatewayError, match="can't reach the gateway's process 4711: No such process"):
        await request(FakeStore())
