"""Long work in short steps: by spans of signals' ids, which neither hold a transaction open nor fill the memory.

A read that goes on for minutes keeps SQLite from resetting its log, which grows meanwhile, and PostgreSQL from cleaning
up; a write that does, keeps everybody from writing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from peewee import Database, Expression, fn

from gateway.store.queries import ALL, ids_of, of_deliveries, of_order
from gateway.store.tables import Deliveries, Signals
from gateway.store.values import Filter

IDS = 10_000
"""Ids looked at in one step."""
SIGNALS = 50
"""Signals whose deliveries are replayed in one transaction, for which senders wait; it takes some 2 ms."""
REPLAYABLE = ("delivered", "dead", "filtered")


@dataclass(frozen=True, slots=True)
class IdRange:
    """Signals' ids from `first` to `last`; none where that is less."""

    first: int
    last: int

    def __bool__(self) -> bool:
        return self.first <= self.last

    def step(self) -> IdRange:
        """What of it to look at in one go."""
        return IdRange(self.first, min(self.last, self.first + IDS - 1))

    def beyond(self, reached: int) -> IdRange:
        """What is left."""
        return IdRange(reached + 1, self.last)

    def steps(self) -> Iterator[IdRange]:
        """All of it, step by step."""
        left = self
        while left:
            yield left.step()
            left = left.beyond(left.step().last)


class Found(NamedTuple):
    """Ids of signals, all there are up to `reached`."""

    ids: Sequence[int]
    reached: int


def whole(db: Database, which: Filter) -> IdRange:
    """From the first to the last signal that can match, as far as that is told at once."""
    if which.ids is not None:
        ids = ids_of(which)
        first, last = (min(ids), max(ids)) if ids else (0, -1)
    else:
        terms = [] if which.order is None else [Signals.id.in_(of_order(which.order))]
        # Asked one by one, as each alone is one seek.
        first, last = (end_of(db, end, Signals.id, terms) for end in (fn.MIN, fn.MAX))
    after = -1 if which.after is None else which.after
    upto = last if which.upto is None else which.upto
    return IdRange(max(first, after + 1), min(last, upto))


def end_of(db: Database, end: Any, field: Any, terms: Sequence[Expression] = ()) -> int:
    """An end of the ids in a field; -1 where there are none."""
    query = field.model.select(end(field))
    found: int | None = (query.where(*terms) if terms else query).scalar(db)
    return -1 if found is None else found


def within(which: Filter, ids: IdRange) -> Filter:
    return replace(which, after=ids.first - 1, upto=ids.last)


# -- replays


def replayable(which: Filter) -> list[Expression]:
    """The deliveries that a replay starts anew: those that match and have ended."""
    return [Deliveries.state.in_(REPLAYABLE), *of_deliveries(which)]


def find_replayable(db: Database, which: Filter, left: IdRange) -> Found:
    """Signals with something to replay."""
    step = left.step()
    query = Deliveries.select(Deliveries.signal_id).distinct().where(*replayable(within(which, step)))
    ids = [id for (id,) in query.order_by(Deliveries.signal_id).limit(SIGNALS).tuples().execute(db)]
    return Found(ids, ids[-1] if len(ids) == SIGNALS else step.last)


def count_replayable(db: Database, which: Filter, ids: IdRange) -> dict[tuple[str, str], int]:
    """How many deliveries a replay would start anew, per account and route."""
    route = (Deliveries.account, Deliveries.route)
    query = Deliveries.select(*route, fn.COUNT(ALL)).where(*replayable(within(which, ids))).group_by(*route)
    return {(account, name): count for account, name, count in query.tuples().execute(db)}
