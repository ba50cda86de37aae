"""Differences of the two databases: one object for each, with the same methods.

`sqlite.dialect` and `postgres.dialect` implement it. Each hot step calls the function of the same name in the
package's accept.py, lease.py or record.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from peewee import Database

from gateway.model import Delivery, RouteKey
from gateway.store.operations import Accept, Answers, CheckWritable, ClaimDue, Lane, Record, Renew, Step
from gateway.store.rows import LARGEST_ID
from gateway.store.steps import (
    accounts,
    actions,
    alerts,
    hours,
    known_orders,
    leases,
    order_upkeep,
    orders,
    pending,
    purge,
    quarantine,
    replay,
    replay_jobs,
    routes,
    startup,
)
from gateway.store.steps.alerts import ClearAlerts, RaiseAlerts
from gateway.store.steps.claims import Leases
from gateway.store.steps.known_orders import AddKnownOrders
from gateway.store.steps.pending import Skip
from gateway.store.steps.replay import Replay
from gateway.store.steps.replay_jobs import AdvanceReplay
from gateway.store.values import DroppedPartition, Settled


class Notifier(Protocol):
    """Notifies other processes that share the database of commits."""

    def notify(self, routes: Iterable[RouteKey]) -> None:
        """Tell the others that something was committed for these routes; an empty list means any route."""
        ...

    def listen(self, tell: Callable[[Sequence[RouteKey]], None]) -> None:
        """Call `tell` on the event loop with each notification of the others."""
        ...

    def close(self) -> None:
        """Send waiting notifications, then end."""
        ...


class Dialect(ABC):
    """One database's form of the store's work. Steps run on the writer's thread, within its transaction."""

    shared: bool
    """True if other gateways may serve from the database at the same time."""
    notifier: Notifier | None = None
    """None where no other process serves, or notifications can't be received."""

    # -- hot steps

    @abstractmethod
    def accept(self, db: Database, items: Sequence[Accept]) -> Answers:
        """Write the signals that are new, with their deliveries; answer each with an Accepted."""

    @abstractmethod
    def lease(self, db: Database, items: Sequence[ClaimDue]) -> Answers:
        """Lease heads of lanes that are due; answer each claim with its Leases."""

    @abstractmethod
    def record(self, db: Database, items: Sequence[Record]) -> Answers:
        """Write results and promote the next heads; answer each with the number of results taken."""

    @abstractmethod
    def renew(self, db: Database, items: Sequence[Renew]) -> Answers:
        """Extend leases; answer each with the number of leases extended."""

    # -- other steps

    @abstractmethod
    def check_writable(self, db: Database, items: Sequence[CheckWritable]) -> Answers:
        """Write something that changes nothing."""

    @abstractmethod
    def promote_heads(self, db: Database, lanes: Iterable[Lane], now: int) -> None:
        """Give each lane its next head, if it has none or if its head is a replay that makes way."""

    def replay(self, db: Database, items: Sequence[Replay]) -> Answers:
        """Make ended deliveries pending again; see gateway.store.steps.replay."""
        return replay.replay_deliveries(db, items, self.promote_heads)

    def advance_replay(self, db: Database, items: Sequence[AdvanceReplay]) -> Answers:
        """Replay pages of jobs; see gateway.store.steps.replay_jobs."""
        return replay_jobs.advance_replays(db, items, self.promote_heads)

    def skip(self, db: Database, items: Sequence[Skip]) -> Answers:
        """End pending deliveries as filtered; see gateway.store.steps.pending."""
        return pending.skip_deliveries(db, items, self.promote_heads)

    def add_known_orders(self, db: Database, items: Sequence[AddKnownOrders]) -> Answers:
        """Make orders known and free the deliveries held for them; see gateway.store.steps.known_orders."""
        return known_orders.add_known_orders(db, items, self.promote_heads)

    def raise_alerts(self, db: Database, items: Sequence[RaiseAlerts]) -> Answers:
        """Note or raise conditions, with the signals that tell of them; see gateway.store.steps.alerts."""
        return alerts.raise_alerts(db, items, self.accept)

    def clear_alerts(self, db: Database, items: Sequence[ClearAlerts]) -> Answers:
        """Clear alerts, with the signals that tell of it; see gateway.store.steps.alerts."""
        return alerts.clear_alerts(db, items, self.accept)

    # -- the writer's transactions

    def before_transaction(self, db: Database, items: Sequence[Any]) -> None:
        """Run first in each transaction, with its operations: take their locks, or check the file."""
        return

    def check_file(self) -> None:
        """Run after each commit, before senders are answered. Raises StoreError if the commit may be lost."""
        return

    def after_batch(self, db: Database) -> None:
        """Run on the writer's thread after each batch, when its callers were answered. Raises nothing."""
        return

    def watch_file(self, db: Database) -> None:
        """Look after the database's file while there is no traffic."""
        return

    def before_close(self) -> None:
        """Run after the writer has ended, and before the last connection is closed."""
        return

    @abstractmethod
    def leave_transaction(self, db: Database) -> None:
        """Bring a connection out of its transaction after a failed rollback, by ending the connection if need be.

        The next transaction opens a new connection.
        """

    def revive(self, db: Any) -> bool:
        """Open the connection again if it is broken, and return True if it was."""
        return False

    # -- reads

    @abstractmethod
    def read_leased(self, db: Database, leases: Leases) -> list[Delivery]:
        """Read the leased deliveries, each with its signal and the furthest stage of its order."""

    def read_settled(self, db: Database) -> Settled:
        """Return how far signals are settled: below that id, none can still be committed."""
        return Settled(LARGEST_ID, frozenset())

    @abstractmethod
    def read_next_due(self, db: Database, routes: Iterable[RouteKey]) -> dict[RouteKey, float]:
        """Return when each route can next be claimed from."""

    # -- partitions; without them nothing is made and nothing dropped

    def make_partitions(self, db: Database, now: float, retention: float) -> int:
        """Make the partitions that will be needed soon; return their number. Raises StoreError if tables are busy."""
        return 0

    def list_old_partitions(self, db: Database, before: float) -> Sequence[Any]:
        """Return the partitions that ended a day before that time, or earlier."""
        return ()

    def drop_partition(self, db: Database, partition: Any, before: float, dead: bool) -> DroppedPartition | None:
        """Drop a partition; None if another gateway has just done so. Raises StoreError if tables are busy."""
        return None


def order_of_steps(dialect: Dialect) -> tuple[Step, ...]:
    """Return all steps in the order in which a transaction runs them.

    Claims come last, to find the deliveries that came with them.
    """
    return (
        dialect.accept,
        quarantine.quarantine_requests,
        dialect.add_known_orders,
        startup.release_leases,
        startup.reset_due_times,
        dialect.check_writable,
        routes.save_route_states,
        routes.set_paused,
        routes.own_routes,
        actions.record_actions,
        pending.try_now,
        leases.release_claims,
        dialect.skip,
        quarantine.release_quarantined,
        dialect.record,
        dialect.renew,
        dialect.replay,
        replay_jobs.begin_replays,
        replay_jobs.take_replays,
        dialect.advance_replay,
        replay_jobs.end_replays,
        purge.purge_signals,
        purge.purge_quarantine,
        dialect.raise_alerts,
        dialect.clear_alerts,
        alerts.acknowledge_alerts,
        alerts.purge_alerts,
        purge.purge_actions,
        accounts.save_in_force,
        accounts.remove_in_force,
        accounts.note_key_uses,
        orders.save_states,
        order_upkeep.replace_states,
        order_upkeep.replace_counts,
        order_upkeep.purge_states,
        hours.add_hours,
        accounts.forget,
        dialect.lease,
    )
