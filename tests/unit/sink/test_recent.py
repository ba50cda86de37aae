"""The deliveries that a sink remembers, so that it handles none twice."""

import pytest

from gateway.sink import RecentDeliveries, State, recent
from tests.support.factory import make_delivery

ONE, TWO, THREE = (make_delivery(order=order) for order in "123")


def test_a_handled_delivery_that_comes_again_is_left_out() -> None:
    memory = RecentDeliveries(State(), "told")
    assert memory.start_batch([ONE, TWO, ONE]) == {ONE.stamp: ONE, TWO.stamp: TWO}
    memory.add([ONE])
    assert [*memory.start_batch([ONE, TWO])] == [TWO.stamp]


def test_only_the_last_batch_is_remembered() -> None:
    state = State()
    memory = RecentDeliveries(state, "told")
    for delivery in (ONE, TWO):
        memory.start_batch([delivery])
        memory.add([delivery])
    assert state.get("told") == [TWO.stamp]


def test_earlier_batches_are_remembered_while_they_come_again() -> None:
    state = State({"told": [ONE.stamp, TWO.stamp]})
    memory = RecentDeliveries(state, "told")
    memory.start_batch([TWO, THREE])
    memory.add([THREE])
    assert state.get("told") == [ONE.stamp, TWO.stamp, THREE.stamp]


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MAX_STAMPS", 2)
    state = State({"told": [ONE.stamp]})
    memory = RecentDeliveries(state, "told")
    memory.start_batch([ONE])
    memory.add([TWO, THREE])
    assert state.get("told") == [TWO.stamp, THREE.stamp]
