"""Helpers for sinks that look up a signal's order in an ERP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from gateway.errors import Permanent, RetryLater
from gateway.model import Signal


class NamedOrder(Protocol):
    """An order as an ERP has it; `name` is shown to people."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=NamedOrder)


def require_reference(signal: Signal) -> str:
    """Return the signal's order reference. Raises Permanent if it is missing or has a NUL character."""
    reference = signal.order_reference
    if not reference.strip():
        raise Permanent("the signal names no order_reference")
    if "\0" in reference:
        raise Permanent("the signal's order_reference contains a NUL character, which no order in an ERP has")
    return reference


def pick_order(found: Sequence[T], fields: Sequence[str], may_wait: bool) -> T:
    """Return the only order found by the reference in these fields.

    Raises Permanent if several orders match. If none does: RetryLater while the order may still be created
    (`may_wait`), Permanent afterwards.
    """
    if len(found) > 1:
        raise Permanent(f"ambiguous: several orders match ({found[0].name}, {found[1].name})")
    if found:
        return found[0]
    where = " or ".join(fields)
    if not may_wait:
        raise Permanent(f"no order has this reference as {where}; given up waiting for it")
    raise RetryLater(f"no order has this reference as {where} yet", healthy=True)
