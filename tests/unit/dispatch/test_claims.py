"""Claims are small lots, in the order of what tenants were given, and count until they are known to be less."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gateway.dispatch.claims import MOST, ROUND, SMALL, Claims
from gateway.dispatch.pace import CREDIT, LONGEST, TICK
from gateway.dispatch.runner import Runner
from gateway.dispatch.shares import cost
from gateway.store.values import ClaimRequest
from tests.unit.dispatch.harness import START, make_route, make_sink
from tests.unit.dispatch.harness import make_runner as make_any_runner

LOT = int(ROUND / cost(1, 1))


def make_runner(name: str, tenant: str = "acme", concurrency: int = 1000, batch: int = 1) -> Runner:
    route = make_route(name, account=tenant, tenant=tenant, concurrency=concurrency)
    return make_any_runner(route, make_sink(batch=batch))


def make_claims(*runners: Runner) -> Claims:
    claims = Claims(lambda at, runner: None)
    for runner in runners:
        claims.add(runner)
    return claims


def sizes(wants: list[ClaimRequest]) -> list[tuple[str, int]]:
    return [(want.route, want.limit) for want in wants]


def test_a_lot_costs_no_more_than_a_round() -> None:
    claims = make_claims(make_runner("a"), make_runner("b"))
    assert sizes(claims.choose(START)) == [("a", LOT)]
    assert sizes(claims.choose(START)) == [("b", LOT)]
    assert claims.choose(START) == []


def test_a_lot_is_as_large_as_the_last_claim_took_long() -> None:
    claims = make_claims()

    def choose(at: float) -> int:
        claims.add(make_runner(f"route{at}"))
        return sum(want.limit for want in claims.choose(START + at))

    assert choose(0.0) == LOT
    assert choose(0.02) == int(0.02 / cost(1, 1))
    assert choose(0.021) == LOT
    assert choose(9.0) == int(MOST / cost(1, 1))
    assert claims.choose(START + 9.0) == []  # and then one waits until something comes
    assert choose(99.0) == LOT


def test_of_a_large_lot_a_tenant_gets_its_part_where_others_have_something_in_hand() -> None:
    small, large = make_runner("a", "small", concurrency=1), [make_runner(name, "large") for name in "bc"]
    claims = make_claims(small, *large)
    assert sizes(claims.choose(START)) == [("a", 1), ("b", LOT - 1)]
    claims.called(small)
    taken = sum(want.limit for want in claims.choose(START + 0.04))
    assert taken * cost(1, 1) == pytest.approx(0.02, abs=cost(1, 1))


def test_routes_share_a_lot() -> None:
    claims = make_claims(*(make_runner(name, concurrency=5) for name in "abc"))
    assert sizes(claims.choose(START)) == [("a", 5), ("b", 5), ("c", LOT - 10)]


def test_a_call_is_claimed_whole_and_not_with_others() -> None:
    claims = make_claims(make_runner("a", concurrency=3), make_runner("b", concurrency=1, batch=250))
    assert sizes(claims.choose(START)) == [("a", 3)]
    assert sizes(claims.choose(START)) == [("b", 250)]


def test_tenants_take_turns_however_many_routes_they_have() -> None:
    many = [make_runner(f"route{number}", "large", batch=100) for number in range(4)]
    one = make_runner("only", "small", batch=100)
    claims = make_claims(*many, one)
    lots = []
    for _ in range(40):
        [want] = claims.choose(START)
        lots.append(want.account)
        runner = one if want.account == "small" else many[int(want.route[-1])]
        claims.claimed(runner, want.limit, 100)
        claims.called(runner)
        claims.answered(runner)
        claims.finished(runner, 100)
        claims.add(runner)
    assert all(first != second for first, second in pairwise(lots[20:]))  # until then, one catches up


def test_one_that_is_ahead_waits_until_nothing_of_the_other_is_in_hand() -> None:
    large, small = make_runner("a", "large", batch=50), make_runner("b", "small", concurrency=1)
    claims = make_claims(small)
    claims.choose(START)
    claims.claimed(small, 1, 0)
    for _ in range(3):
        claims.add(large)
        claims.choose(START)
    claims.add(small)
    claims.add(large)
    assert sizes(claims.choose(START)) == [("b", 1)]
    assert claims.choose(START) == []
    assert claims.waited_for
    claims.called(small)
    assert sizes(claims.choose(START)) == [("a", 50)]
    claims.answered(small)
    claims.add(large)
    assert claims.choose(START) == []
    claims.finished(small, 1)
    assert sizes(claims.choose(START)) == [("a", 50)]


def test_what_was_not_due_is_not_held_against_one() -> None:
    often, once = make_runner("a", "often"), make_runner("b", "once")
    claims = make_claims(once)
    for runner in (once, *[often] * 50):
        claims.add(runner)
        [want] = claims.choose(START)
        claims.claimed(runner, want.limit, 0)
    claims.add(once)
    claims.add(often)
    assert {want.route for _ in range(2) for want in claims.choose(START)} == {"a", "b"}


# -- beside senders

PACE = 4.0
SMALL_LOT = int(SMALL / cost(1, 1))


def test_with_a_pace_the_next_lot_comes_when_the_last_is_paid_for() -> None:
    claims = make_claims(*(make_runner(name) for name in "abc"))
    assert sizes(claims.choose(START, PACE)) == [("a", SMALL_LOT)]
    paid = PACE * SMALL_LOT * cost(1, 1) - CREDIT
    assert claims.choose(START, PACE) == []
    assert claims.waited_for
    assert claims.wait(START) == pytest.approx(paid, abs=1e-6)
    assert claims.choose(START + paid - 2 * TICK, PACE) == []
    assert sizes(claims.choose(START + paid, PACE)) == [("b", SMALL_LOT)]
    assert sizes(claims.choose(START + paid)) == [("c", LOT)]  # nobody is about any more


def test_a_pace_has_nobody_wait_for_long() -> None:
    claims = make_claims(*(make_runner(name) for name in "ab"))
    assert claims.choose(START, 1e6)
    assert claims.choose(START + 1, PACE) == []
    assert sizes(claims.choose(START + 1 + LONGEST, PACE)) == [("b", SMALL_LOT)]


def test_with_a_pace_routes_share_a_lot_all_the_same() -> None:
    claims = make_claims(*(make_runner(name, concurrency=3) for name in "abc"))
    assert sizes(claims.choose(START, PACE)) == [("a", 3), ("b", 3), ("c", SMALL_LOT - 6)]


def test_what_was_not_due_is_not_paid_for() -> None:
    runner = make_runner("a")
    claims = make_claims(runner)
    claims.choose(START, PACE)
    claims.claimed(runner, SMALL_LOT, 0)
    claims.add(runner)
    assert sizes(claims.choose(START, PACE)) == [("a", SMALL_LOT)]


def test_a_tenant_that_is_behind_need_not_wait_for_the_pace() -> None:
    claims = make_claims(make_runner("a", "large"), make_runner("b", "large"))
    claims.choose(START, PACE)
    assert claims.choose(START, PACE) == []
    claims.add(make_runner("c", "small", concurrency=1))
    assert sizes(claims.choose(START, PACE)) == [("c", 1)]


def test_with_a_pace_a_call_is_no_larger_than_a_lot() -> None:
    claims = make_claims(make_runner("a", concurrency=1, batch=250))
    [(_, limit)] = sizes(claims.choose(START, PACE))
    assert cost(limit, 250) <= SMALL < cost(limit + 1, 250)


def test_with_a_pace_a_remainder_makes_no_small_call() -> None:
    claims = make_claims(make_runner("a", concurrency=3), make_runner("b", concurrency=1, batch=250))
    assert sizes(claims.choose(START, PACE)) == [("a", 3)]
