"""Slots for deliveries in hand: a tenant takes no more than it leaves free, and so does each of its routes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch.admission import Slots
from gateway.model import RouteKey


@dataclass(frozen=True)
class Taker:
    tenant: str
    route: str = "erp"

    @property
    def key(self) -> RouteKey:
        return self.tenant, self.route


def fill(slots: Slots, *takers: Taker) -> list[int]:
    """Let each in turn take one slot at a time until none has room. Return the number of each."""
    taken = Counter[Taker]()
    while any(slots.room(taker) for taker in takers):
        for taker in takers:
            if slots.room(taker):
                slots.take(taker, 1)
                taken[taker] += 1
    return [taken[taker] for taker in takers]


def test_one_tenant_takes_half_of_the_slots_and_two_take_two_thirds() -> None:
    assert sum(fill(Slots(96), *(Taker("a", str(n)) for n in range(200)))) == 48
    many = [Taker(tenant, str(n)) for n in range(200) for tenant in "ab"]
    assert sum(fill(Slots(96), *many)) == 64


def test_a_route_takes_no_more_than_it_leaves_to_its_tenant() -> None:
    slots = Slots(96)
    assert fill(slots, Taker("a")) == [24]
    assert fill(slots, Taker("a", "second")) == [12]


def test_slots_that_are_given_back_may_be_taken_again() -> None:
    slots = Slots(96)
    [taken] = fill(slots, Taker("a"))
    assert (slots.free, slots.tenants, slots.room(Taker("a"))) == (96 - taken, 1, 0)
    slots.give_back(Taker("a"), taken)
    assert (slots.free, slots.tenants) == (96, 0)
    assert fill(slots, Taker("a")) == [taken]


def test_the_last_slot_goes_to_one_that_uses_none() -> None:
    slots = Slots(1)
    assert slots.room(Taker("a")) == 1
    slots.take(Taker("a"), 1)
    assert slots.room(Taker("b")) == 0


TAKERS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.booleans()), max_size=60)


@given(TAKERS)
def test_there_are_never_more_in_use_than_slots(moves: Sequence[tuple[str, str, bool]]) -> None:
    slots, used = Slots(10), Counter[Taker]()
    for tenant, route, takes in moves:
        taker = Taker(tenant, route)
        if takes:
            room = slots.room(taker)
            slots.take(taker, room)
            used[taker] += room
        else:
            slots.give_back(taker, used.pop(taker, 0))
        assert slots.free == 10 - used.total() >= 0
