"""A sink's base: its state and its defaults."""

import pytest

from gateway.sink import Check, Context, Delivery, Permanent, Sink, State
from tests.support.factory import make_delivery


def test_state_is_read_as_it_was_set_and_handed_over_once() -> None:
    state = State({"kept": 1})
    state.set("position", 5)
    assert (state.get("kept"), state.get("position"), state.get("none", "default")) == (1, 5, "default")
    assert state.take_changes() == {"position": 5}
    assert state.take_changes() == {}
    assert state.get("position") == 5


def test_state_refuses_what_is_no_json() -> None:
    with pytest.raises(TypeError):
        State().set("position", object())


class Collecting(Sink):
    name = "collecting"
    summary = "collects"

    def collect(self) -> list[str]:
        return self.__dict__.setdefault("seen", [])

    async def deliver(self, delivery: Delivery) -> None:
        if delivery.route == "bad":
            raise Permanent("no")
        self.collect().append(delivery.route)


@pytest.mark.gen_test
async def test_a_batch_goes_one_by_one_unless_the_sink_says_otherwise() -> None:
    sink = Collecting({}, Context("shop", "acme", "erp"))
    assert await sink.deliver_batch([make_delivery(route="a"), make_delivery(route="b")]) is None
    assert sink.collect() == ["a", "b"]
    with pytest.raises(Permanent):
        await sink.deliver_batch([make_delivery(route="bad")])


@pytest.mark.gen_test
async def test_the_defaults_do_nothing() -> None:
    sink = Collecting({}, Context("shop", "acme", "erp"))
    await sink.open()
    assert await sink.check() == Check(True)
    await sink.close()
    assert repr(sink) == "<Collecting shop/erp>"
