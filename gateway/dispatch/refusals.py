"""Memory of the deliveries that a route's target refused as misconfigured: is the route at fault, or the delivery?"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model import Delivery
from gateway.policy import FAILURES_TO_OPEN

MAX_REMEMBERED = 1000
"""Refused deliveries remembered for a route, the latest ones. A forgotten one counts as refused for the first time."""


class Refusals:
    """Tells a wrong setting from a delivery that the target refuses alone, such as an order that it does not have.

    A refusal is the delivery's own fault if others were taken since it was last refused. On a route where that was so,
    it already is at the first refusal, unless several in a row are refused. All of it lasts while the gateway runs;
    the attempts that it counts are in the store.
    """

    def __init__(self) -> None:
        self._taken = 0
        self._taken_at_refusal: dict[int, int] = {}
        self._since_taken: set[int] = set()
        self._in_a_row = 0
        self._refuses_single = False

    def take(self) -> None:
        """Note that the target has taken a delivery."""
        self._taken += 1
        self._since_taken.clear()
        self._in_a_row = 0

    def fail(self, signal_id: int) -> None:
        """Note that an attempt failed for now, as far as the target is to blame."""
        if len(self._since_taken) < MAX_REMEMBERED:
            self._since_taken.add(signal_id)

    def refuse(self, signal_id: int, alone: bool = True) -> bool:
        """Note a refusal. Return True if it is the delivery's own fault.

        It never is if the whole call of several deliveries was refused, so that it was not `alone`.
        """
        before = self._taken_at_refusal.pop(signal_id, None)
        self._taken_at_refusal[signal_id] = self._taken
        if len(self._taken_at_refusal) > MAX_REMEMBERED:
            del self._taken_at_refusal[next(iter(self._taken_at_refusal))]
        if before is None:  # a repeated refusal tells nothing new of the route
            self.fail(signal_id)
            self._in_a_row += 1
        if not alone:
            return False
        if before is None:
            return self._refuses_single and self._in_a_row < FAILURES_TO_OPEN
        own = self._taken > before
        self._refuses_single |= own
        return own

    @property
    def confirmed(self) -> bool:
        """True if several deliveries failed or were refused since one was taken, so that the route must be at fault."""
        return len(self._since_taken) > 1

    def choose_probe(self, deliveries: Sequence[Delivery]) -> Delivery:
        """Return the delivery to probe the route with: the first blameless one, else the least recently refused."""
        return self.find_blameless(deliveries) or min(deliveries, key=self._turn)

    def find_blameless(self, deliveries: Sequence[Delivery]) -> Delivery | None:
        """Return the first delivery that was never refused, and did not fail since one was taken, else None."""
        blamed = self._since_taken.union(self._taken_at_refusal)
        return next((delivery for delivery in deliveries if delivery.signal.id not in blamed), None)

    def _turn(self, delivery: Delivery) -> int:
        refused = list(self._taken_at_refusal)
        return refused.index(delivery.signal.id) if delivery.signal.id in refused else -1
