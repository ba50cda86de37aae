"""Splits long work into ranges of signal ids.

A read that goes on for minutes keeps SQLite from resetting its log, which grows meanwhile, and PostgreSQL from cleaning
up. A write that goes on for minutes keeps everybody else from writing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from peewee import SQL, Database, Expression, fn

from gateway.model import RouteKey
from gateway.store.reads.filters import ids_of_order, of_deliveries, valid_ids
from gateway.store.tables import Deliveries, Signals
from gateway.store.values import Filter

IDS_PER_PAGE = 10_000
"""Ids in one page: some milliseconds of reading."""
SIGNALS_PER_REPLAY = 50
"""Signals replayed in one transaction. Senders wait for it, some 2 ms."""
REPLAYABLE = ("delivered", "dead", "filtered")
COUNT = fn.COUNT(SQL("*"))


@dataclass(frozen=True, slots=True)
class IdRange:
    """Signal ids from `first` to `last`, both inclusive; empty if `last` is less."""

    first: int
    last: int

    def __bool__(self) -> bool:
        return self.first <= self.last

    def page(self) -> IdRange:
        """Return the first page of the range."""
        return IdRange(self.first, min(self.last, self.first + IDS_PER_PAGE - 1))

    def beyond(self, reached: int) -> IdRange:
        """Return the rest behind `reached`."""
        return IdRange(reached + 1, self.last)

    def pages(self) -> Iterator[IdRange]:
        """Yield all pages of the range."""
        left = self
        while left:
            yield left.page()
            left = left.beyond(left.page().last)


class Found(NamedTuple):
    """Ids of matching signals, complete up to `reached`."""

    ids: Sequence[int]
    reached: int


def whole_range(db: Database, which: Filter) -> IdRange:
    """Return the range of signals that can match, as far as a few seeks tell it."""
    if which.ids is not None:
        ids = valid_ids(which)
        first, last = (min(ids), max(ids)) if ids else (0, -1)
    else:
        terms = [] if which.order is None else [Signals.id.in_(ids_of_order(which.order))]
        # Two queries, because each is one seek in the index; one query for both would read all of it.
        first, last = (find_end(db, end, Signals.id, terms) for end in (fn.MIN, fn.MAX))
    after = -1 if which.after is None else which.after
    upto = last if which.upto is None else which.upto
    return IdRange(max(first, after + 1), min(last, upto))


def find_end(db: Database, end: Any, field: Any, terms: Sequence[Expression] = ()) -> int:
    """Return the smallest (fn.MIN) or largest (fn.MAX) id in a field; -1 if there is none."""
    query = field.model.select(end(field))
    found: int | None = (query.where(*terms) if terms else query).scalar(db)
    return -1 if found is None else found


def within(which: Filter, ids: IdRange) -> Filter:
    """Return the filter narrowed to a range."""
    return replace(which, after=ids.first - 1, upto=ids.last)


# -- replays


def replayable(which: Filter) -> list[Expression]:
    """Return conditions on the deliveries that a replay makes pending again: they match and have ended."""
    return [Deliveries.state.in_(REPLAYABLE), *of_deliveries(which)]


def find_replayable(db: Database, which: Filter, left: IdRange) -> Found:
    """Return the next signals with anything to replay."""
    page = left.page()
    query = Deliveries.select(Deliveries.signal_id).distinct().where(*replayable(within(which, page)))
    ids = [id for (id,) in query.order_by(Deliveries.signal_id).limit(SIGNALS_PER_REPLAY).tuples().execute(db)]
    return Found(ids, ids[-1] if len(ids) == SIGNALS_PER_REPLAY else page.last)


def of_page(which: Filter, ids: Sequence[int]) -> Filter:
    """Return the filter for the write of a page. A signal never changes, so its conditions are not checked again."""
    return Filter(ids, account=which.account, route=which.route, state=which.state, undelivered=which.undelivered)


def count_replayable(db: Database, which: Filter, ids: IdRange) -> dict[RouteKey, int]:
    """Return how many deliveries a replay would make pending again, by account and route."""
    route = (Deliveries.account, Deliveries.route)
    query = Deliveries.select(*route, COUNT).where(*replayable(within(which, ids))).group_by(*route)
    return {(account, name): count for account, name, count in query.tuples().execute(db)}
