"""Dispatch: from the store to the sinks. Claim, deliver, decide, record.

The parts act together as follows. Every number is in `Tuning`.

1. The `Dispatcher` is one loop. A commit, the end of an attempt, a timer or a poll queues a route in `Admission`.
2. `RoundRobin` orders the queue: the tenant with the least CPU time charged comes first, and its routes take turns.
3. `LiveRouteState.slots` limits a route: pause, ownership, breaker, concurrency, rate. Replays get a share of it.
4. `Slots` limits the memory in use: a tenant gets at most as many slots as it leaves free, and so does each route.
5. `FairShare` limits CPU time. Deliveries are charged to their tenant when they are claimed, by an estimate. A tenant
   that is ahead waits while another has calls in the gateway's hands; not for calls that are with their target, and not
   for longer than its patience. So a slow target or a slow store never makes anybody wait for nothing.
6. A claim has a `Budget` of a few milliseconds of CPU time, so that turns are short. It grows with the time that the
   last claim took: on a slow store small claims would leave the CPU idle.
7. The `Throttle` makes deliveries give way to requests. It spreads the same CPU charges over time, by a pace, makes the
   budget smaller, and has each step of an attempt wait a moment for requests in flight. A tenant that is behind in its
   fair share need not wait for the pace, so a quiet tenant is not delayed by the backlog of another.
8. A `Runner` runs the attempts that a claim gave. A call moves from the gateway's hands to its target and back
   (`Admission.at_target`) until its results are recorded (`Admission.end`), which frees its slots and queues the route.
9. On a shared store a `Heartbeat` renews the leases of deliveries in hand, and the ownership of single-writer routes.
"""

from gateway.dispatch.dispatcher import Dispatcher
from gateway.dispatch.runner import Runner
from gateway.dispatch.throttle import Throttle
from gateway.dispatch.tuning import Tuning

__all__ = ["Dispatcher", "Runner", "Throttle", "Tuning"]
