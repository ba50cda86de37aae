"""Every number of dispatch in one place, with its unit, its effect and the reason for its value."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """The numbers of dispatch. The package's docstring says how they act together.

    Times are in seconds; "CPU time" is in seconds of one core. Where a value was measured, the bench is named.
    """

    # -- leases and polls

    lease_margin: float = 300.0
    """Seconds that a lease lasts beyond the attempt's own timeout, on a store with one gateway. No other gateway waits
    for such a lease, so it is long: a late result must still find it."""
    shared_lease: float = 30.0
    """Seconds that a lease, or the ownership of a route, lasts on a shared store. Deliveries of a dead gateway can be
    claimed after that. The clocks of gateways may differ by this less two heartbeats."""
    heartbeat: float = 10.0
    """Seconds between renewals of leases and ownership on a shared store. Two may fail before a lease ends."""
    poll_interval: float = 2.0
    """Seconds between looks at the store for changes without a notification: another process's replay or pause, or a
    lease that ran out. Each look costs two queries."""

    poll_rest: float = 5.0
    """Least time from one look to the next, in lengths of a look: with very many routes a look takes long, and nothing
    is claimed meanwhile. Deliveries keep four fifths of the time."""
    longest_poll_rest: float = 30.0
    """Seconds from one look to the next at most, so that a person's pause or replay is soon seen."""

    # -- the size of a claim

    call_cost: float = 0.3e-3
    """CPU time of one call of a sink, about, as measured by tests.bench.delivery."""
    delivery_cost: float = 0.08e-3
    """CPU time of each delivery in a call, beside that of the call, by the same bench."""
    claim_budget: float = 0.005
    """CPU time that one claim may cost, except that a first call may exceed it. It limits how long other routes wait
    for their turn, and signals for the writer. With larger claims calls begin and end together, and targets idle. With
    3 ms, the shares of tests.bench.isolation took 5 % more CPU time a delivery, by HTTP and to files."""
    claim_budget_beside_requests: float = 0.003
    """CPU time that one claim may cost while there are requests, which wait for the writer too. Acks beside a CSV
    backlog had a p99 of 1.10 times that without deliveries, and 1.27 times with 5 ms."""
    largest_claim_budget: float = 0.1
    """CPU time that one claim may cost on a slow store: as much as a core does while a claim lasts, up to this. With
    5 ms always, a disk that took 150 ms to sync allowed 24 deliveries/s."""
    slots: int = 2048
    """Deliveries in hand at once, over all routes. It limits the memory that any backlog may take."""
    replay_share: float = 0.25
    """Share of a route's deliveries in hand that may be replays. Live signals always find the rest free of them."""

    # -- probes of resting routes

    probe_choice: int = 8
    """Deliveries claimed for a probe. One of them probes, if possible one that was not refused before; the others are
    given back."""
    second_opinion_after: float = 5.0
    """Seconds from the failure that opened a route's breaker to such a look."""
    second_opinion_again: float = 300.0
    """Seconds between looks for another delivery to probe a resting route with, while only one has failed. A look that
    finds none costs a claim and its return; a new signal leads to a look of its own."""
    second_opinion_soon: float = 1.0
    """Seconds from a new signal to such a look: it may be of another order. A burst of signals leads to one look."""

    # -- fair shares of tenants

    fair_lead: float = 0.005
    """CPU time that a tenant may be ahead of another before it lets that one catch up: one claim's budget."""
    fair_window: float = 0.05
    """CPU time that a tenant may fall behind. One that was idle, or could not use its share, can't take more than this
    in one go later."""
    free_share: float = 0.05
    """Share of a core that a tenant may use without being ahead. So tenants with little to deliver do not wait for each
    other."""
    fair_patience: float = 0.25
    """Seconds that a tenant lets others catch up; then it is free for as long. The others may wait for the store and
    not for the CPU."""

    # -- giving way to requests

    rush_requests: int = 16
    """Requests in flight at once that make a rush. A sender that waits for each answer before its next signal never
    makes one."""
    rush_lasts: float = 0.1
    """Seconds that a rush lasts after so many were in flight: requests that came together are answered together, and
    their senders are soon back."""
    traffic_lasts: float = 1.0
    """Seconds after a request in which the next one is expected."""
    rush_pace: float = 10.0
    """Seconds that pass for each second of CPU time of deliveries in a rush. Deliveries take a tenth of a core, and the
    rest of the backlog follows after the rush. Ingest with three routes reached 0.76 of the bare handler's rate with
    it, and 0.54 without, by tests.bench.ingest."""
    traffic_pace: float = 1.3
    """Seconds that pass for each second of CPU time of deliveries beside some requests. Deliveries take three quarters
    of a core, so that a request finds it free, or soon."""
    throttle_credit: float = 0.005
    """Seconds of lateness that deliveries may make up for: the loop's timers and other tasks make turns late."""
    timer_resolution: float = 0.001
    """Seconds that a turn may come early. The loop's timers count milliseconds; a shorter wait would spin."""
    longest_throttle: float = 1.0
    """Seconds that the throttle makes anything wait at most, whatever was charged before."""
    longest_give_way: float = 0.003
    """Seconds that a step of an attempt waits for requests in flight at most: about the time of one request."""
    give_way_rest: float = 0.03
    """Seconds without such waits after one in vain. Under constant load they only delay deliveries: a route with four
    calls at a time fell behind 400 signals/s from 16 senders."""
    judged_at_once: int = 5
    """Results judged before other tasks get the loop, about 0.1 ms of work. An ack beside a CSV backlog took 1.0 ms
    from submit to settled with 4 or 8, and 1.5 ms with 25."""

    # -- questions for the orders of held signals

    lookup_pace: float = 1.0
    """Seconds between two questions of an account: an ERP that also serves people is not loaded."""
    lookup_within: float = 10.0
    """Seconds that a sink has to answer. An ERP finds an order by its reference in less than a second."""
    lookups_at_once: int = 16
    """Questions at once, over all accounts."""
    lookup_round: float = 60.0
    """Seconds between rounds, in which orders that were held lately are asked for again."""
    lookup_recent: float = 3600.0
    """Seconds for which an order counts as held lately. Most are entered within minutes of the print order."""
    lookup_whole_round: float = 600.0
    """Seconds between rounds that ask for all orders that are held."""
    lookup_rest: float = 60.0
    """Seconds without questions to an account after a failed one; doubled after each further failure in a row."""
    lookup_longest_rest: float = 900.0
    """Longest such rest (s)."""

    # -- failures of the gateway itself

    after_failure: float = 1.0
    """Seconds that the dispatcher's loop waits after an unexpected exception, so that it does not spin."""
    failures_to_end: int = 10
    """Unexpected exceptions in a row that end the loop, and with it the process. A new process begins with a clean
    state. Without this, the gateway would accept signals and never deliver them."""

    # -- the store away

    first_record_wait: float = 0.1
    """Seconds before results that could not be recorded are tried again; doubled each time."""
    longest_record_wait: float = 5.0
    """Seconds between such tries at most, so that results are soon recorded once the store is back."""

    def calls(self, deliveries: int, batch: int) -> int:
        """Return the number of calls that deliveries take, with up to `batch` in each."""
        return math.ceil(deliveries / batch)

    def cost(self, deliveries: int, batch: int) -> float:
        """Return the CPU time that deliveries cost, in calls of up to `batch` each."""
        return self.calls(deliveries, batch) * self.call_cost + deliveries * self.delivery_cost

    def cut(self, deliveries: int, batch: int, seconds: float, whole: bool = True) -> int:
        """Return how many of the deliveries that CPU time allows, in whole calls and at least one call.

        Without `whole`, a call that costs more is cut itself, to at least one delivery.
        """
        call = self.cost(batch, batch)
        if not whole and call > seconds:
            return min(deliveries, max(1, int((seconds - self.call_cost) / self.delivery_cost)))
        return min(deliveries, max(1, int(seconds / call)) * batch)


DEFAULT_TUNING = Tuning()
