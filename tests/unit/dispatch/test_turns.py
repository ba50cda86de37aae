"""Turns are fair across tenants first, then routes."""

from dataclasses import dataclass

from gateway.dispatch.turns import Turns


@dataclass(frozen=True)
class Item:
    tenant: str
    name: str


def drain(turns: Turns[Item]) -> list[str]:
    names = []
    while (item := turns.take()) is not None:
        names.append(item.name)
    return names


def test_a_tenant_with_many_routes_gets_one_turn_a_round() -> None:
    turns: Turns[Item] = Turns()
    for name in ("a1", "a2", "a3"):
        turns.add(Item("a", name))
    turns.add(Item("b", "b1"))
    turns.add(Item("c", "c1"))
    assert drain(turns) == ["a1", "b1", "c1", "a2", "a3"]


def test_one_that_waits_keeps_its_place() -> None:
    turns: Turns[Item] = Turns()
    for name in ("a1", "a2", "a1"):
        turns.add(Item("a", name))
    assert drain(turns) == ["a1", "a2"]


def test_who_had_a_turn_queues_up_behind_the_others() -> None:
    turns: Turns[Item] = Turns()
    turns.add(Item("a", "a1"))
    turns.add(Item("b", "b1"))
    assert turns.take() == Item("a", "a1")
    turns.add(Item("a", "a1"))
    assert drain(turns) == ["b1", "a1"]
    assert not turns


def test_one_that_is_put_back_is_the_next() -> None:
    turns: Turns[Item] = Turns()
    for name in ("a1", "a2", "b1"):
        turns.add(Item(name[0], name))
    taken = turns.take()
    assert taken == Item("a", "a1")
    turns.put_back(taken)
    assert drain(turns) == ["a1", "b1", "a2"]
