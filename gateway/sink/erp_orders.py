"""Helpers for sinks that look up a signal's order in an ERP."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol, TypeVar

from gateway.errors import Permanent, RetryLater, Skip
from gateway.model import Signal
from gateway.signal_types import GATEWAY_ALERT
from gateway.validators import show_moment


class NamedOrder(Protocol):
    """An order as an ERP has it; `name` is shown to people."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> str: ...


T = TypeVar("T", bound=NamedOrder)


@dataclass(frozen=True, slots=True)
class OrderWait:
    """The wait of a delivery for its order, at `now` and `until` then (seconds since the epoch).

    Its end is a Skip if it `skips`, else Permanent.
    """

    now: float
    until: float
    skips: bool = False

    @property
    def open(self) -> bool:
        """True while the delivery may wait."""
        return self.now < self.until

    def go_on(self, reason: str) -> NoReturn:
        """Raise RetryLater, and tell until when."""
        raise RetryLater(f"{reason}; waited for until {show_moment(self.until)} UTC", healthy=True)

    def give_up(self, reason: str) -> NoReturn:
        """Raise the outcome at the end of the wait: Skip or Permanent."""
        raise (Skip if self.skips else Permanent)(reason)


def is_reference(text: str) -> bool:
    """Return True if an order in an ERP may have this reference: it is not blank, and has no NUL character."""
    return bool(text.strip()) and "\0" not in text


def require_reference(signal: Signal) -> str:
    """Return the signal's order reference. Raises Permanent if it is missing or has a NUL character.

    Raises Skip for an alert of the gateway that is about no order.
    """
    reference = signal.order_reference
    if signal.type == GATEWAY_ALERT and not reference.strip():
        raise Skip("the alert is about no order")
    if not reference.strip():
        raise Permanent("the signal names no order_reference")
    if "\0" in reference:
        raise Permanent("the signal's order_reference contains a NUL character, which no order in an ERP has")
    return reference


def pick_order(found: Sequence[T], fields: Sequence[str], wait: OrderWait) -> T:
    """Return the only order found by the reference in these fields. Leave out cancelled ones if there are others.

    Raises Permanent if several orders match. If none does: RetryLater while the wait is open, its end afterwards.
    """
    if len(found) > 1:
        raise Permanent(f"ambiguous: several orders match ({found[0].name}, {found[1].name})")
    if found:
        return found[0]
    where = " or ".join(fields)
    if wait.open:
        wait.go_on(f"no order has this reference as {where} yet")
    wait.give_up(f"no order has this reference as {where}; given up waiting for it")


def require_confirmed(order: NamedOrder, quotations: Collection[str], wait: OrderWait) -> None:
    """Raise RetryLater, or the wait's end, if the order's state is one of `quotations`."""
    if order.state not in quotations:
        return
    if wait.open:
        wait.go_on(f"order {order.name} is a quotation; it is not confirmed yet")
    wait.give_up(f"order {order.name} is a quotation; given up waiting for its confirmation")
