"""Turns are fair across tenants first, then routes."""

from dataclasses import dataclass

from gateway.dispatch.admission import RoundRobin


@dataclass(frozen=True)
class Item:
    tenant: str
    name: str


def take(waiting: RoundRobin[Item], **ranks: float) -> str | None:
    item = waiting.take(lambda tenant: ranks.get(tenant, 0.0), lambda tenant: True)
    return item and item.name


def queue(*names: str) -> RoundRobin[Item]:
    """Queue items by name. The first letter is the tenant."""
    waiting: RoundRobin[Item] = RoundRobin()
    for name in names:
        waiting.add(Item(name[0], name))
    return waiting


def drain(waiting: RoundRobin[Item]) -> list[str]:
    names = []
    while (name := take(waiting)) is not None:
        names.append(name)
    return names


def test_tenants_of_the_same_rank_take_turns_and_so_do_their_routes() -> None:
    assert drain(queue("a1", "a2", "a3", "b1", "c1")) == ["a1", "b1", "c1", "a2", "a3"]


def test_an_item_that_waits_keeps_its_place() -> None:
    assert drain(queue("a1", "a2", "a1")) == ["a1", "a2"]


def test_an_item_that_had_a_turn_queues_behind_the_others() -> None:
    waiting = queue("a1", "b1")
    assert take(waiting) == "a1"
    waiting.add(Item("a", "a1"))
    assert drain(waiting) == ["b1", "a1"]
    assert not waiting


def test_the_tenant_with_the_lowest_rank_comes_first() -> None:
    waiting = queue("a1", "b1", "c1", "b2")
    assert [take(waiting, a=3, b=1, c=2) for _ in range(4)] == ["b1", "b2", "c1", "a1"]


def test_an_item_that_may_not_have_its_turn_keeps_it() -> None:
    waiting = queue("a1", "b1")
    assert waiting.take(lambda tenant: 0.0, lambda tenant: tenant != "a") is None
    assert drain(waiting) == ["a1", "b1"]


def test_an_item_that_is_put_back_is_the_next() -> None:
    waiting = queue("a1", "a2", "b1")
    assert take(waiting) == "a1"
    waiting.put_back(Item("a", "a1"))
    assert drain(waiting) == ["a1", "b1", "a2"]
