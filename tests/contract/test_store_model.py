"""The store's contract: after any history, a store agrees with the rules in plain Python."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import Dead, Decision, Delivery, Done, RetryAt
from gateway.store.contract import Store
from gateway.store.values import Filter
from tests.contract.lane_model import LaneModel
from tests.contract.store_case import LEASE, NOW, Backend, accept, claim, count_replay, finish, numbered, replay_all
from tests.support.factory import ACCOUNT
from tests.support.ledger import read_ledger
from tests.support.postgres import Server

ORDERS = st.sampled_from("ABC")
DECISIONS = st.one_of(
    st.sampled_from([Done("delivered"), Done("filtered", "skip"), Dead("gone")]),
    st.builds(RetryAt, st.integers(0, 200), st.just("down"), st.booleans()),
)
STEPS = st.one_of(
    st.tuples(st.just("accept"), ORDERS, st.booleans(), st.sampled_from([False, False, True])),
    st.tuples(st.just("claim"), st.integers(0, 5), st.integers(0, 5)),
    st.tuples(st.just("record"), st.integers(0, 50), DECISIONS),
    st.tuples(st.just("replay"), st.sampled_from([None, "dead", "delivered", "pending"])),
    st.tuples(st.just("add_order"), ORDERS),
    st.tuples(st.just("release")),
)
Example = list[tuple[float, tuple[Any, ...]]]
EXAMPLES = st.lists(st.tuples(st.sampled_from([0, 0, 1, 0.25, LEASE]), STEPS), min_size=5, max_size=40)


@dataclass
class Run:
    """A store and the model, given equal steps; `now` is in seconds since the start."""

    store: Store
    model: LaneModel
    claimed: list[tuple[Delivery, int]]
    now: float = NOW

    async def accept(self, order: str, laned: bool, hold: bool) -> None:
        signal = numbered(len(self.model.entries), order=order)
        signal = replace(signal, received_at=datetime.fromtimestamp(self.now, UTC))
        answer = await accept(self.store, signal, lane=laned, unrouted=("alerts",), hold=hold)
        lane = order if laned else None
        assert answer.held == self.model.accept(answer.signal_id, order, lane, hold, self.now)
        assert (await accept(self.store, signal)).duplicate

    async def claim(self, limit: int, replays: int) -> None:
        expected = self.model.claim(limit, replays, self.now, self.now + LEASE)
        deliveries = await claim(self.store, self.now, limit, replays=replays)
        assert [(d.signal.id, d.attempt, d.replayed) for d in deliveries] == expected
        self.claimed += [(delivery, self.model.claims) for delivery in deliveries]

    async def record(self, which: int, decision: Decision) -> None:
        if not self.claimed:
            return
        delivery, holder = self.claimed[which % len(self.claimed)]
        if isinstance(decision, RetryAt):
            decision = replace(decision, at=self.now + decision.at)
        expected = self.model.record(delivery.signal.id, holder, decision)
        assert await finish(self.store, [delivery], decision, self.now) == expected

    async def replay(self, state: Any) -> None:
        expected = self.model.replay(state, self.now)
        assert (await count_replay(self.store, Filter(state=state))).total() == expected
        assert await replay_all(self.store, Filter(state=state), self.now) == expected

    async def add_order(self, order: str) -> None:
        assert (await self.store.add_known_orders(ACCOUNT, [order], self.now)).freed == self.model.add_order(
            order, self.now
        )

    async def release(self) -> None:
        assert await self.store.release_leases(self.now) == self.model.release(self.now)

    async def compare(self) -> None:
        """Compare row by row, then the results of the rows: the ledger's identity, and the next due time."""
        rows = await self.store.list_deliveries(Filter(), 1000)
        found = {
            row.signal_id: (row.state, row.due_at, row.leased_until, row.attempts, row.held, row.created_at)
            for row in rows
        }
        assert found == {
            number: (e.state, e.due_at, e.leased_until, e.attempts, e.held, e.created_at)
            for number, e in self.model.entries.items()
        }
        due = [at for entry in self.model.entries.values() if (at := entry.claimable_at) is not None]
        next_due = await self.store.read_next_due([(ACCOUNT, "erp")])
        assert len(next_due) == bool(due)
        for at in next_due.values():
            assert at == min(due) or max(at, min(due)) <= self.now  # which of what is due now, does not matter
        ledger = await read_ledger(self.store)
        for route in ("erp", "alerts") if rows else ():
            counts = dict(ledger[ACCOUNT, route])
            assert counts.pop("accepted") == sum(counts.values()) == len(self.model.entries)


async def play(backend: Backend, steps: Example) -> None:
    async with backend.open() as store:
        run = Run(store, LaneModel(), [])
        for seconds, (name, *arguments) in steps:
            run.now += seconds
            await getattr(run, name)(*arguments)
            await run.compare()
        assert [wrong async for page in store.check_custody() for wrong in page.violations] == []


@settings(max_examples=60, deadline=None)
@given(steps=EXAMPLES)
def test_sqlite_does_as_the_model(steps: Example) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Backend(f"sqlite:///{folder}/gateway.db"), steps))


@settings(max_examples=20, deadline=None)
@given(steps=EXAMPLES)
def test_postgres_does_as_the_model(postgres: Server, steps: Example) -> None:
    asyncio.run(play(Backend(postgres.make_place()), steps))
