"""Dispatch: from the store to the sinks. Claim, deliver, decide, record.

The parts act together as follows. Every number is in `Tuning`.

1. The `Dispatcher` is one loop. A commit, the end of an attempt, a timer or a poll queues a route in `Admission`.
2. `RoundRobin` orders the queue: the tenant with the least CPU time charged comes first, and its routes take turns.
3. `LiveRouteState.slots` limits a route: pause, ownership, breaker, concurrency, rate. Replays get a share of it.
4. `Slots` limits the memory in use: a tenant gets at most as many slots as it leaves free, and so does each route.
5. `FairShare` limits CPU time. Deliveries are charged to their tenant when they are claimed, by an estimate. A tenant
   that is ahead waits while another has calls in hand. It does not wait for calls that are with their target, and not
   for longer than its patience. So a slow target does not delay other tenants, and a slow store hardly does.
6. A claim has a `Budget` of a few milliseconds of CPU time, so that turns are short. It grows with the time that the
   last claim took: on a slow store small claims would leave the CPU idle.
7. The `Throttle` makes deliveries give way to requests. It spreads the same CPU charges over time, by a pace, and makes
   the budget smaller. Each step of an attempt waits a moment for requests in flight. A tenant that is behind in its
   fair share skips the pace, so that the backlog of one tenant does not delay a quiet one.
8. A `Runner` runs the attempts of a claim. A call is in hand from its claim, except while it is `Admission.at_target`.
   `Admission.end` follows the record of its results: it frees the slots and queues the route.
9. A route whose breaker is open rests. `Refusals` tells wrong settings from a delivery that the target refuses alone,
   and chooses the delivery to probe with.
10. On a shared store a `Heartbeat` renews the leases of deliveries in hand, and the ownership of single-writer routes.
11. `Lookups` asks sinks for the orders of held signals, beside the attempts, at a slow pace.
12. `SinkFaults` reports unexpected exceptions of sinks, and `LoopWatch` names a sink that blocks the event loop.
"""

from gateway.dispatch.dispatcher import Dispatcher
from gateway.dispatch.lookups import Lookups
from gateway.dispatch.loop_watch import LoopWatch, Tasks
from gateway.dispatch.runner import Runner
from gateway.dispatch.throttle import Throttle
from gateway.dispatch.tuning import Tuning

__all__ = ["Dispatcher", "Lookups", "LoopWatch", "Runner", "Tasks", "Throttle", "Tuning"]
