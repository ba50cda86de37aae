"""Admission: which routes may claim next, and how much. The package's docstring says how its parts act together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from gateway.dispatch.route_state import LiveRouteState
from gateway.dispatch.throttle import LONG_AGO, Throttle
from gateway.dispatch.tuning import DEFAULT_TUNING, Tuning
from gateway.model import RouteKey
from gateway.store.values import ClaimRequest


class HasTenant(Protocol):
    @property
    def tenant(self) -> str: ...


class Keyed(HasTenant, Protocol):
    @property
    def key(self) -> RouteKey: ...


T = TypeVar("T", bound=HasTenant)


class FairShare:
    """An account for each tenant of the CPU time that its deliveries were given.

    A tenant that is ahead of another starts nothing while a call of the other is in hand, which means claimed or being
    recorded. A call that is with its target is not in hand: it does not wait for the CPU. If the gateway is the
    bottleneck, all tenants get the same, with any number of routes. If targets are, no tenant waits.
    """

    def __init__(self, tuning: Tuning = DEFAULT_TUNING) -> None:
        self._tuning = tuning
        self._charged: dict[str, float] = {}
        self._charged_at: dict[str, float] = {}
        self._in_hand: Counter[str] = Counter()
        self._waits_since: dict[str, float] = {}

    def charged(self, tenant: str) -> float:
        """Return the CPU time charged to a tenant. Only differences between tenants mean something."""
        return self._charged.get(tenant, LONG_AGO)

    def calls_in_hand(self, tenant: str) -> int:
        """Return the number of the tenant's calls that are claimed or being recorded."""
        return self._in_hand[tenant]

    def may_start(self, tenant: str, now: float) -> bool:
        """Return False if the tenant is ahead and must let others catch up."""
        level = self.charged(tenant) - self._free(tenant, now) - self._tuning.fair_lead
        if not any(self._charged[other] < level for other in self._in_hand):
            self._waits_since.pop(tenant, None)
            return True
        patience = self._tuning.fair_patience
        waited = now - self._waits_since.setdefault(tenant, now)
        if not 0 <= waited < 2 * patience:  # below 0, the clock was set back
            waited, self._waits_since[tenant] = 0.0, now
        return waited >= patience

    def is_behind(self, tenant: str) -> bool:
        """Return True if the tenant was charged clearly less than another."""
        return self.charged(tenant) + self._tuning.fair_lead < max(self._charged.values(), default=0.0)

    def charge(self, tenant: str, calls: int, seconds: float, now: float) -> None:
        """Count claimed calls as in hand and charge their CPU time, `seconds` in all."""
        most = max(self._charged.values(), default=0.0)
        level = max(self._charged.get(tenant, most) - self._free(tenant, now), most - self._tuning.fair_window)
        self._charged[tenant] = level + seconds
        self._charged_at[tenant] = now
        self._count(tenant, calls)

    def refund(self, tenant: str, calls: int, seconds: float) -> None:
        """Take back calls that were charged but got no deliveries."""
        self._charged[tenant] -= seconds
        self._count(tenant, -calls)

    @contextmanager
    def at_target(self, tenant: str) -> Iterator[None]:
        """Count a call as with its target, and in hand again afterwards, whatever the sink raises."""
        self._count(tenant, -1)
        try:
            yield
        finally:
            self._count(tenant, 1)

    def end(self, tenant: str) -> None:
        """End a call: its results are recorded."""
        self._count(tenant, -1)

    def _free(self, tenant: str, now: float) -> float:
        return self._tuning.free_share * max(0.0, now - self._charged_at.get(tenant, now))

    def _count(self, tenant: str, calls: int) -> None:
        self._in_hand[tenant] += calls
        if not self._in_hand[tenant]:
            del self._in_hand[tenant]


class Slots:
    """The slots for deliveries in hand, shared by all routes.

    A tenant may use at most as many slots as remain free, so one stuck tenant takes half, and two take two thirds. A
    route may use at most as many as remain free to its tenant. A tenant that uses none always finds some.
    """

    def __init__(self, total: int) -> None:
        self.free = total
        self._tenants: Counter[str] = Counter()
        self._routes: Counter[RouteKey] = Counter()

    def room(self, route: Keyed) -> int:
        """Return how many more slots the route may take now."""
        return share(share(self.free, self._tenants[route.tenant]), self._routes[route.key])

    @property
    def tenants(self) -> int:
        """The number of tenants that use slots."""
        return sum(used > 0 for used in self._tenants.values())

    def take(self, route: Keyed, count: int) -> None:
        """Take slots for a route."""
        self._add(route, count)

    def give_back(self, route: Keyed, count: int) -> None:
        """Give slots of a route back."""
        self._add(route, -count)

    def _add(self, route: Keyed, count: int) -> None:
        self.free -= count
        self._tenants[route.tenant] += count
        self._routes[route.key] += count


def share(free: int, used: int) -> int:
    """Return how many of the free slots a user of `used` slots may take, to end with no more than it leaves free.

    The number is rounded up, so that the last slot goes to a user of none.
    """
    return max(0, (free - used + 1) // 2)


class RoundRobin(Generic[T]):
    """A queue for turns. The tenant with the lowest rank is next, and the routes of a tenant take turns."""

    def __init__(self) -> None:
        self._tenants: dict[str, dict[T, None]] = {}

    def add(self, item: T) -> None:
        """Queue an item; one that waits already keeps its place."""
        self._tenants.setdefault(item.tenant, {}).setdefault(item)

    def take(self, rank: Callable[[str], float], may: Callable[[str], bool]) -> T | None:
        """Take the next item. None if nothing waits, or the next tenant may not have its turn yet."""
        if not self._tenants:
            return None
        tenant = min(self._tenants, key=rank)
        if not may(tenant):
            return None
        waiting = self._tenants.pop(tenant)
        item = next(iter(waiting))
        del waiting[item]
        if waiting:
            self._tenants[tenant] = waiting
        return item

    def put_back(self, item: T) -> None:
        """Make an item that was taken the next one again."""
        waiting = {item: None, **self._tenants.pop(item.tenant, {})}
        self._tenants = {item.tenant: waiting, **self._tenants}

    def __bool__(self) -> bool:
        return bool(self._tenants)


class Budget:
    """The CPU time that one claim may cost, in all and for each tenant."""

    def __init__(self, seconds: float, for_each: float) -> None:
        self.left = seconds
        self._for_each = for_each
        self._spent: defaultdict[str, float] = defaultdict(float)

    def left_for(self, tenant: str) -> float:
        return min(self.left, self._for_each - self._spent[tenant])

    def spend(self, tenant: str, seconds: float) -> None:
        self.left -= seconds
        self._spent[tenant] += seconds


class Admission:
    """The routes that wait for a turn, with the slots and the CPU time of each tenant.

    `open_later(at, route)` is called for a route without slots that may have some at a known time. `wake()` is called
    when waiting routes may have their turn.
    """

    def __init__(
        self,
        throttle: Throttle,
        open_later: Callable[[float, LiveRouteState], None],
        wake: Callable[[], None],
        tuning: Tuning = DEFAULT_TUNING,
    ) -> None:
        self._throttle = throttle
        self._open_later = open_later
        self._wake = wake
        self._tuning = tuning
        self._queue: RoundRobin[LiveRouteState] = RoundRobin()
        self._without_room: list[LiveRouteState] = []
        self.slots = Slots(tuning.slots)
        self.shares = FairShare(tuning)
        self._last_claim_at: float | None = None

    def add(self, route: LiveRouteState) -> None:
        """Queue a route that has something due, or may have."""
        self._queue.add(route)

    @property
    def waiting(self) -> bool:
        """True if routes wait for others to catch up, or for the throttle."""
        return bool(self._queue)

    def delay(self, now: float) -> float:
        """Return the seconds until waiting routes may have their turn at the latest."""
        return self._throttle.delay(now) or self._tuning.fair_patience

    def choose(self, now: float) -> list[ClaimRequest]:
        """Return the next claim. Its slots and CPU time count as used until `settle`."""
        self._queue_again()
        self._throttle.adapt(now)
        throttled = self._throttle.delay(now) > 0
        budget = self._make_budget(now)
        claim_requests: list[ClaimRequest] = []
        while budget.left > 0 and (route := self._next(now, budget, throttled)) is not None:
            limit = self._limit(route, now, budget, first=not claim_requests)
            price = self._tuning.cost(limit, route.batch)
            if not limit:
                continue
            if price > budget.left and claim_requests:
                self._queue.put_back(route)  # the rest of the budget would make a small batch
                break
            self._take(route, limit, price, now)
            budget.spend(route.tenant, price)
            claim_requests.append(ClaimRequest(*route.key, limit, route.replay_slots()))
        self._last_claim_at = now if claim_requests else None
        return claim_requests

    def _queue_again(self) -> None:
        """Queue the routes that found no free slots. Some may be free by now."""
        for route in self._without_room:
            self._queue.add(route)
        self._without_room.clear()

    def _make_budget(self, now: float) -> Budget:
        """Return the budget of a claim: larger if the last claim took long and the loop did not wait since.

        Each tenant gets at most an even share of a large claim.
        """
        tuning = self._tuning
        seconds = tuning.claim_budget
        if self._throttle.active:
            seconds = tuning.claim_budget_beside_requests
        elif self._last_claim_at is not None:
            seconds = min(tuning.largest_claim_budget, max(seconds, now - self._last_claim_at))
        return Budget(seconds, max(tuning.claim_budget, seconds / max(1, self.slots.tenants)))

    def _next(self, now: float, budget: Budget, throttled: bool) -> LiveRouteState | None:
        def may_start(tenant: str) -> bool:
            in_time = not throttled or self.shares.is_behind(tenant)
            return in_time and budget.left_for(tenant) > 0 and self.shares.may_start(tenant, now)

        return self._queue.take(self.shares.charged, may_start)

    def _limit(self, route: LiveRouteState, now: float, budget: Budget, first: bool) -> int:
        """Return how many deliveries a route may claim. If none, note when to queue the route again."""
        slots, room = route.slots(now), self.slots.room(route)
        if min(slots, room) > 0:
            whole = not (self._throttle.active and first)
            return self._tuning.cut(min(slots, room), route.batch, budget.left_for(route.tenant), whole)
        if slots > 0:
            self._without_room.append(route)
        elif (at := route.opens_at(now)) is not None:
            self._open_later(at, route)
        return 0

    def _take(self, route: LiveRouteState, limit: int, price: float, now: float) -> None:
        self.slots.take(route, limit)
        self.shares.charge(route.tenant, self._tuning.calls(limit, route.batch), price, now)
        self._throttle.charge(price, now)

    def settle(self, route: LiveRouteState, limit: int, deliveries: int) -> None:
        """Give back the slots and CPU time that a claim did not use. Of the limit, `deliveries` were due."""
        tuning = self._tuning
        unused = tuning.calls(limit, route.batch) - tuning.calls(deliveries, route.batch)
        saved = tuning.cost(limit, route.batch) - tuning.cost(deliveries, route.batch)
        self.slots.give_back(route, limit - deliveries)
        self.shares.refund(route.tenant, unused, saved)
        self._throttle.refund(saved)

    # -- attempts, from claim to record

    @contextmanager
    def at_target(self, route: LiveRouteState) -> Iterator[None]:
        """Count a call as with its target. Tenants that are ahead need not wait for it."""
        with self.shares.at_target(route.tenant):
            if self.waiting:
                self._wake()
            yield

    def end(self, route: LiveRouteState, deliveries: int) -> None:
        """End a call and give its slots back. A lane's next delivery may be due."""
        self.shares.end(route.tenant)
        self.slots.give_back(route, deliveries)
        self.mark_due(route)

    def mark_due(self, route: LiveRouteState) -> None:
        """Queue a route, as something was committed for it or it has slots again."""
        route.due = 0.0
        self.add(route)
        self._wake()
