"""The memory of a sink whose target can't recognise a repeated delivery."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model import Delivery
from gateway.sink.api import State

MAX_STAMPS = 2000
"""Deliveries remembered per route. It must exceed any batch; each costs about 50 bytes in each commit of the state."""


class RecentDeliveries:
    """The stamps of the deliveries that the last batch handled, kept in the route's state.

    If deliveries of an earlier batch come again, because their results could not be saved, the older stamps stay.
    Batches of one route must not overlap.
    """

    def __init__(self, state: State, key: str) -> None:
        self._state = state
        self._key = key
        self._kept: list[str] = []

    def start_batch(self, deliveries: Sequence[Delivery]) -> dict[str, Delivery]:
        """Return the deliveries that were not handled before, each once, by their stamps."""
        kept: list[str] = self._state.get(self._key, [])
        handled = set(kept)
        self._kept = kept if any(delivery.stamp in handled for delivery in deliveries) else []
        return {delivery.stamp: delivery for delivery in deliveries if delivery.stamp not in handled}

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Remember handled deliveries, in the state as of now."""
        self._kept = [*self._kept, *(delivery.stamp for delivery in deliveries)][-MAX_STAMPS:]
        self._state.set(self._key, self._kept)
