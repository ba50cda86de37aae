"""A sink's base: its state and its defaults."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol

from gateway import sink as api
from gateway.sink import Check, Context, Delivery, Permanent, Shared, Sink, State
from tests.support.factory import make_delivery


def test_state_is_read_as_it_was_set_and_handed_over_once() -> None:
    state = State({"kept": 1})
    state.set("position", 5)
    assert (state.get("kept"), state.get("position"), state.get("none", "default")) == (1, 5, "default")
    assert state.take_changes() == {"position": 5}
    assert state.take_changes() == {}
    assert state.get("position") == 5


def test_state_knows_what_a_crash_would_leave() -> None:
    state = State({"position": 1})
    state.set("position", 2)
    changes = state.take_changes()
    assert (state.get("position"), state.committed("position"), state.committed("none", 0)) == (2, 1, 0)
    state.confirm(changes)
    assert state.committed("position") == 2


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


def test_a_shared_object_is_made_once() -> None:
    shared = Shared()
    first = shared.get(("host", "team"), list)
    assert shared.get(("host", "team"), list) is first
    assert shared.get(("host", "other"), list) is not first


def test_options_that_are_right_alone_must_go_together() -> None:
    class Picky(Collecting):
        options = {vol.Optional("low", default=1): int, vol.Optional("high", default=2): int}

        @classmethod
        def check_together(cls, options: Mapping[str, Any]) -> None:
            if options["low"] > options["high"]:
                raise vol.Invalid("expected less than high", path=["low"])

    assert Picky.schema()({"low": 2}) == {"low": 2, "high": 2}
    with pytest.raises(vol.Invalid, match="expected less than high") as caught:
        Picky.schema()({"low": 3})
    assert caught.value.path == ["low"]


@pytest.mark.gen_test
async def test_the_defaults_do_nothing() -> None:
    assert Collecting.schema()({}) == {}
    assert Collecting.file_format({}) is None
    sink = Collecting({}, Context("shop", "acme", "erp"))
    await sink.open()
    assert await sink.check() == Check(True)
    await sink.close()
    assert repr(sink) == "<Collecting shop/erp>"


def test_the_authors_page_names_all_that_is_exported() -> None:
    page = (Path(__file__).parents[3] / "plugins" / "README.md").read_text()
    assert [name for name in api.__all__ if not re.search(rf"\b{name}\b", page)] == []
