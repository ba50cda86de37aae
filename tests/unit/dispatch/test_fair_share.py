"""Fair shares of a simulated core: even if the core is the bottleneck, and without waits if targets are."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch.admission import FairShare
from gateway.dispatch.tuning import Tuning

TUNING = Tuning()
PATIENCE = TUNING.fair_patience


@dataclass(frozen=True)
class Tenant:
    """A tenant with an endless backlog from `begins` on: calls at a time, deliveries in each, seconds of its target."""

    calls: int
    think: float = 0.0
    batch: int = 1
    begins: float = 0.0


class Core:
    """A core that works on one claim or result at a time. Each takes half of a call's cost.

    The next claim waits for the last one. Between claim and result, a call is with its target.
    """

    def __init__(self, tenants: Mapping[str, Tenant]) -> None:
        self.shares = FairShare()
        self.tenants = tenants
        self.now = 0.0
        self.done: Counter[str] = Counter()
        self.free = {name: tenant.calls for name, tenant in tenants.items()}
        self.queue: deque[tuple[float, Callable[[], None]]] = deque()
        self.targets: list[tuple[float, int, str, AbstractContextManager[None]]] = []
        self.claiming = False
        self._number = count()

    def run(self, until: float) -> None:
        while self.now < until:
            if not self.claiming:
                self._claim()
            if self.queue:
                seconds, then = self.queue.popleft()
                self.now += seconds
                then()
            else:
                self._rest(until)
            while self.targets and self.targets[0][0] <= self.now:
                _, _, name, call = heapq.heappop(self.targets)
                call.__exit__(None, None, None)
                self.queue.append((self.price(name) / 2, partial(self._end, name)))

    def price(self, name: str) -> float:
        batch = self.tenants[name].batch
        return TUNING.cost(batch, batch)

    def _claim(self) -> None:
        """Claim as gateway.dispatch.admission does."""
        claim: list[str] = []
        left = TUNING.claim_budget
        while left > 0 and (waiting := [name for name in self.free if self.free[name] and self._has_begun(name)]):
            name = min(waiting, key=self.shares.charged)
            if (claim and self.price(name) > left) or not self.shares.may_start(name, self.now):
                break
            self.shares.charge(name, 1, self.price(name), self.now)
            self.free[name] -= 1
            left -= self.price(name)
            claim.append(name)
        if claim:
            self.claiming = True
            self.queue.append((sum(map(self.price, claim)) / 2, partial(self._call, claim)))

    def _has_begun(self, name: str) -> bool:
        return self.tenants[name].begins <= self.now

    def _call(self, claim: Sequence[str]) -> None:
        self.claiming = False
        for name in claim:
            call = self.shares.at_target(name)
            call.__enter__()
            heapq.heappush(self.targets, (self.now + self.tenants[name].think, next(self._number), name, call))

    def _end(self, name: str) -> None:
        self.shares.end(name)
        self.free[name] += 1
        self.done[name] += self.tenants[name].batch

    def _rest(self, until: float) -> None:
        """Idle until the next event. All calls that may start have started."""
        assert not any(self.free[name] and self._has_begun(name) for name in self.tenants)
        comes = [tenant.begins for tenant in self.tenants.values() if tenant.begins > self.now]
        self.now = min([until, *comes, *(target[0] for target in self.targets[:1])])


def deliveries_of(seconds: float = 10.0, **tenants: Tenant) -> Counter[str]:
    core = Core(tenants)
    core.run(seconds)
    return core.done


FILE = partial(Tenant, batch=250)


def test_the_number_of_routes_makes_no_difference() -> None:
    done = deliveries_of(one=FILE(1), twenty=FILE(20))
    assert done["one"] == pytest.approx(done["twenty"], rel=0.1)


def test_the_number_of_routes_makes_little_difference_with_a_slow_target() -> None:
    # The one route is away with its target at times, when the other tenant does not wait for it.
    done = deliveries_of(one=FILE(1, think=0.005), twenty=FILE(20, think=0.005))
    assert done["one"] > 0.4 * done.total()


def test_shares_are_of_time_and_not_of_deliveries() -> None:
    done = deliveries_of(files=FILE(4), posts=Tenant(64))
    spent = {"files": done["files"] * TUNING.cost(250, 250) / 250, "posts": done["posts"] * TUNING.cost(1, 1)}
    assert spent["files"] == pytest.approx(spent["posts"], rel=0.1)


def test_a_tenant_that_cannot_use_its_share_leaves_it_to_others() -> None:
    alone = deliveries_of(slow=Tenant(8, think=0.05))
    done = deliveries_of(slow=Tenant(8, think=0.05), busy=Tenant(160, think=0.05))
    assert done["slow"] > 0.85 * alone["slow"]
    assert done["busy"] > 0.85 * (10.0 / TUNING.cost(1, 1) - done["slow"])


def test_no_tenant_waits_if_targets_are_the_bottleneck() -> None:
    tenants = {"one": Tenant(1, think=0.1), "many": Tenant(100, think=0.1), "hung": Tenant(500, think=1e9)}
    done = deliveries_of(**tenants)
    assert done["many"] > 0.95 * deliveries_of(many=tenants["many"])["many"]


def test_a_tenant_that_was_idle_gets_no_more_than_a_window_for_it() -> None:
    core = Core({"early": FILE(2), "late": FILE(2, begins=5.0)})
    core.run(5.0)
    before = core.done["early"]
    core.run(7.0)
    quantum = TUNING.cost(250, 250)
    lead = (core.done["late"] - (core.done["early"] - before)) / 250 * quantum
    assert abs(lead) <= TUNING.fair_window + 2 * quantum


TENANTS = st.lists(
    st.builds(Tenant, calls=st.integers(1, 30), batch=st.sampled_from([1, 10, 100])), min_size=2, max_size=5
)


@given(TENANTS)
def test_tenants_that_always_have_something_get_the_same(tenants: Sequence[Tenant]) -> None:
    named = {str(number): tenant for number, tenant in enumerate(tenants)}
    core = Core(named)
    core.run(1.0)
    assert set(core.done) == set(named)
    spent = [core.done[name] / tenant.batch * TUNING.cost(tenant.batch, tenant.batch) for name, tenant in named.items()]
    # Running calls are not counted: at most the allowed lead, and the calls begun with it.
    slack = TUNING.fair_lead + 2 * max(TUNING.cost(tenant.batch, tenant.batch) * tenant.calls for tenant in tenants)
    assert max(spent) - min(spent) <= TUNING.fair_window + slack


@given(st.lists(st.builds(Tenant, st.integers(1, 50), st.sampled_from([0.0, 0.01, 0.5]), st.sampled_from([1, 50]))))
def test_the_core_rests_only_when_all_has_begun(tenants: Sequence[Tenant]) -> None:
    Core({str(number): tenant for number, tenant in enumerate(tenants)}).run(0.6)  # asserts it each time it rests


# -- single steps


def make_ahead(shares: FairShare, behind: str = "b") -> None:
    """Put tenant a ahead of another, which has a call in hand."""
    shares.charge(behind, 1, 0.001, 0.0)
    shares.charge("a", 1, 1.0, 0.0)


def test_a_tenant_ahead_waits_while_another_has_a_call_in_hand() -> None:
    shares = FairShare()
    make_ahead(shares)
    assert not shares.may_start("a", 0.0)
    assert shares.may_start("b", 0.0)
    with shares.at_target("b"):
        assert shares.may_start("a", 0.0)
    assert not shares.may_start("a", 0.0)
    shares.end("b")
    assert shares.may_start("a", 0.0)


def test_a_call_is_in_hand_again_whatever_its_sink_raises() -> None:
    shares = FairShare()
    shares.charge("a", 2, 0.001, 0.0)

    def call() -> None:
        with shares.at_target("a"):
            assert shares.calls_in_hand("a") == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call()
    assert shares.calls_in_hand("a") == 2
    shares.end("a")
    shares.refund("a", 1, 0.0005)
    assert shares.calls_in_hand("a") == 0


def test_a_tenant_ahead_waits_for_its_patience_and_is_then_free_as_long() -> None:
    shares = FairShare()
    make_ahead(shares)
    free = [shares.may_start("a", tenth * PATIENCE / 10) for tenth in range(40)]
    assert free == ([False] * 10 + [True] * 10) * 2


def test_a_clock_set_back_makes_a_tenant_wait_no_longer() -> None:
    shares = FairShare()
    make_ahead(shares)
    assert not shares.may_start("a", 0.0)
    assert not shares.may_start("a", -1000.0)
    assert shares.may_start("a", -1000.0 + PATIENCE)


def test_a_tenant_that_uses_little_is_never_ahead() -> None:
    shares = FairShare()
    shares.charge("b", 1, 0.0, 0.0)
    for second in range(100):
        shares.charge("a", 1, 0.02, float(second))
        assert shares.may_start("a", second + 0.9)


def test_a_refund_takes_calls_and_cpu_time_back() -> None:
    shares = FairShare()
    shares.charge("b", 1, 0.001, 0.0)
    shares.charge("a", 8, 1.0, 0.0)
    shares.refund("a", 8, 1.0)
    assert shares.may_start("a", 0.0)
    shares.refund("b", 1, 0.001)
    make_ahead(shares, "c")
    shares.end("c")
    assert shares.may_start("a", 0.0)


def test_a_claim_is_cut_to_whole_calls_and_at_least_one() -> None:
    assert TUNING.cut(1000, 250, 0.0) == 250
    assert TUNING.cut(100, 250, 0.0) == 100
    assert TUNING.cut(1000, 250, 2.5 * TUNING.cost(250, 250)) == 500
    assert TUNING.cut(64, 1, 10.5 * TUNING.cost(1, 1)) == 10
    assert [TUNING.calls(deliveries, 250) for deliveries in (0, 1, 250, 251)] == [0, 1, 1, 2]
