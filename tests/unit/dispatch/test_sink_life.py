"""The times at which a sink is opened, and the state that it sees."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.dispatch import Tuning
from gateway.errors import RetryLater, StoreLost
from gateway.model import Delivery
from gateway.sink import Sink
from tests.unit.dispatch.harness import dispatching, make_route, make_sink, until

pytestmark = pytest.mark.gen_test

FOREVER = 1e6
"""Seconds, longer than any test may take."""


async def test_a_sink_with_work_of_its_own_is_opened_with_the_gateway(tmp_path: Path) -> None:
    early, late = make_sink(opens_at_start=lambda options: True), make_sink()
    async with dispatching(tmp_path, [(make_route("early"), early), (make_route("late"), late)]) as gateway:
        await until(lambda: has(early.events, "open"))
        await gateway.accept()
        await gateway.settle("delivered")
    assert early.events == late.events == ["open", "close"]


async def test_a_sink_that_can_not_be_opened_yet_is_opened_for_its_first_delivery(tmp_path: Path) -> None:
    async def fail_once(sink: object) -> None:
        tries.append("open")
        if len(tries) == 1:
            raise RetryLater("not yet")

    tries: list[str] = []
    sink = make_sink(opens_at_start=lambda options: True, open=fail_once)
    async with dispatching(tmp_path, [(make_route(), sink)]) as gateway:
        await until(lambda: has(tries, "open"))
        await gateway.accept()
        await gateway.settle("delivered")
    assert len(tries) == 2


async def has(seen: Sequence[str], word: str) -> bool:
    return word in seen


async def test_a_sink_is_told_what_of_its_state_is_committed(tmp_path: Path) -> None:
    seen = []

    async def count(self: Sink, delivery: Delivery) -> None:
        seen.append((self.state.get("count", 0), self.state.committed("count", 0)))
        self.state.set("count", len(seen))

    async with dispatching(tmp_path, [(make_route(), make_sink(deliver=count))]) as gateway:
        for _ in range(3):
            await gateway.accept(type=f"Type{len(seen)}")
            await gateway.settle("delivered")
    assert seen == [(0, 0), (1, 1), (2, 2)]


async def test_a_stop_does_not_wait_for_a_store_whose_file_is_lost(tmp_path: Path, monkeypatch: Any) -> None:
    """Nobody puts the file back while the gateway stops, and so no grace would help."""
    tries: list[str] = []

    async def lose(results: object, changes: object) -> int:
        tries.append("record")
        raise StoreLost

    tuning = Tuning(first_record_wait=FOREVER)
    async with dispatching(tmp_path, [(make_route(), make_sink())], tuning=tuning) as gateway:
        monkeypatch.setattr(gateway.store, "record", lose)
        await gateway.accept()
        await until(lambda: has(tries, "record"))
        with capture_logs() as lines:
            await gateway.dispatcher.stop(grace=FOREVER)
    assert len(tries) == 2
    assert [line["event"] for line in lines].count("delivery.unrecorded") == 1
