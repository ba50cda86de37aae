"""Room for deliveries in hand, shared by all routes."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

PLACES = 2048
"""Deliveries in hand at once, over all routes: what bounds memory, whatever the backlog."""


class Holder(Protocol):
    @property
    def tenant(self) -> str: ...
    @property
    def key(self) -> tuple[str, str]: ...


class Places:
    """Who holds how many places.

    A tenant may hold as many as stay free beside it, and a route as many as stay free to its tenant. So one that
    hangs with all that it can take has a half, two have two thirds, and there is always some room for those who hold
    none.
    """

    def __init__(self, total: int = PLACES) -> None:
        self._free = total
        self._tenants: Counter[str] = Counter()
        self._routes: Counter[tuple[str, str]] = Counter()

    def room(self, holder: Holder) -> int:
        """How many more places the route may take now."""
        return share(share(self._free, self._tenants[holder.tenant]), self._routes[holder.key])

    @property
    def tenants(self) -> int:
        """How many tenants hold places."""
        return sum(held > 0 for held in self._tenants.values())

    def take(self, holder: Holder, count: int) -> None:
        """Take places; a negative count gives them back."""
        self._free -= count
        self._tenants[holder.tenant] += count
        self._routes[holder.key] += count


def share(free: int, held: int) -> int:
    """How many of the `free` places one may take that holds `held`, to end with no more than it leaves free; rounded
    up, so that the last place goes to one that holds none."""
    return max(0, (free - held + 1) // 2)
