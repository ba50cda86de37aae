"""Operations of the hot path, as the store hands them to its writer. Each database has steps of its own for them.

Operations of the other steps stand beside their step, in gateway.store.steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from peewee import Database

from gateway.model import RouteKey, Signal
from gateway.store.values import ClaimRequest, Result, Target

Answers = Sequence[Any] | Callable[[], Sequence[Any]]
"""One answer for each operation; or a function that reads them after the transaction has ended."""

Step = Callable[[Database, Sequence[Any]], Answers]
"""Writes all operations of one kind within the writer's transaction, in the order of the calls that made them."""

Lane = tuple[str, str, str | None]
"""Account, route and lane."""

LOOK_BACK = 1000
"""Signals of one order that are read, at most, to tell how far the order has come. A sender that uses one order for
all its signals must not slow the others."""


class Accept(NamedTuple):
    """A signal to write with its deliveries; see `Inbox.accept`."""

    signal: Signal
    targets: Sequence[Target]
    unrouted: Sequence[str]
    hold: bool

    def order_names(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Return the account with each name that makes the signal's order a known order: its id and its reference."""
        signal = self.signal
        return (signal.account, signal.order), (signal.account, signal.order_reference)


class ClaimDue(NamedTuple):
    """Due deliveries to lease; see `Queue.claim`."""

    requests: Sequence[ClaimRequest]
    now: float
    lease_until: float


class Record(NamedTuple):
    """Results to write, with the sinks' state changes; the values of `state` are JSON texts. See `Queue.record`."""

    results: Sequence[Result]
    state: Mapping[RouteKey, Mapping[str, str]]


class Renew(NamedTuple):
    """Leases to extend, each as account, signal id, route and lease; see `Queue.renew`."""

    leases: Sequence[tuple[str, int, str, str]]
    lease_until: float


class CheckWritable(NamedTuple):
    """A write that changes nothing; see `Upkeep.check_writable`."""
