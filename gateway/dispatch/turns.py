"""Whose turn it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class HasTenant(Protocol):
    @property
    def tenant(self) -> str: ...


T = TypeVar("T", bound=HasTenant)


class Turns(Generic[T]):
    """Those that wait for a turn: of tenants, the one of the least rank is the next, and within a tenant its routes
    take turns."""

    def __init__(self) -> None:
        self._tenants: dict[str, dict[T, None]] = {}

    def add(self, item: T) -> None:
        """Queue up; one that waits already keeps its place."""
        self._tenants.setdefault(item.tenant, {}).setdefault(item)

    def take(self, rank: Callable[[str], float], may: Callable[[str], bool]) -> T | None:
        """The next one, off the queue; None where nobody waits, or the next tenant may not have its turn yet."""
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
        """Let one that was taken be the next again."""
        waiting = {item: None, **self._tenants.pop(item.tenant, {})}
        self._tenants = {item.tenant: waiting, **self._tenants}

    def __bool__(self) -> bool:
        return bool(self._tenants)
