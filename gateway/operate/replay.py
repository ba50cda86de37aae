"""Replays deliveries that have ended, and counts the deliveries that a replay would take."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.model import RouteKey
from gateway.operate.traffic import Progress, progress_of, yield_to_traffic
from gateway.store.contract import Records
from gateway.store.values import DeliveryRow, Filter, Page

DELIVERIES_SHOWN = 1000
"""Deliveries of signals named by id that are looked at, to tell which are left alone."""


@dataclass(frozen=True, slots=True)
class Replayed(Progress):
    """The progress of a replay: `found` counts the deliveries replayed so far on each route."""

    found: Mapping[RouteKey, int] = field(default_factory=dict)

    @property
    def deliveries(self) -> int:
        """Return the number of deliveries replayed so far."""
        return sum(self.found.values())

    def add(self, page: Page) -> Replayed:
        """Return the progress after one more page."""
        return Replayed(*progress_of(page), Counter(self.found) + Counter(page.found))


@dataclass(frozen=True, slots=True)
class Plan:
    """The deliveries to replay by signal id, and those left alone: delivered ones, and pending ones."""

    which: Filter
    delivered: Sequence[DeliveryRow] = ()
    pending: Sequence[DeliveryRow] = ()


async def plan_replay(store: Records, which: Filter, again: bool) -> Plan:
    """Plan a replay. By signal id, without a route or a state, delivered ones are only repeated if asked `again`.

    Otherwise whoever mends one route would repeat the effects on all others of the signal.
    """
    if which.ids is None:
        return Plan(which)
    rows = await store.list_deliveries(which, DELIVERIES_SHOWN)
    pending = [row for row in rows if row.state == "pending"]
    if again or which.route is not None or which.state is not None:
        return Plan(which, pending=pending)
    delivered = [row for row in rows if row.state == "delivered"]
    return Plan(replace(which, undelivered=True), delivered, pending)


async def replay_deliveries(store: Records, which: Filter, now: float, stop: asyncio.Event) -> AsyncIterator[Replayed]:
    """Make matching deliveries that have ended pending again, and record the action; yield the progress.

    It leaves half of the time to live traffic. `stop` ends it between two pages.
    """
    done = Replayed()
    async for page in yield_to_traffic(store.replay(which, now), stop):
        done = done.add(page)
        yield done
    if done.deliveries:
        asked = {name: value for name, value in dataclasses.asdict(which).items() if value not in (None, False)}
        await store.record_action("replay", {**asked, "deliveries": done.deliveries}, now)


async def count_replay(store: Records, which: Filter, stop: asyncio.Event) -> AsyncIterator[Replayed]:
    """Count the deliveries that `replay_deliveries` would take, and change nothing; yield the progress."""
    done = Replayed()
    async for page in yield_to_traffic(store.count_replay(which), stop, rest=0):
        done = done.add(page)
        yield done
