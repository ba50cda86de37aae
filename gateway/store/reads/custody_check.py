"""Checks custody: each signal has the deliveries it was given, and each delivery is wholly in one state.

The check goes by pages of ids. Each query reads one page in a snapshot of its own, so that a check of any size keeps
nobody from writing. Results of two queries are never compared, because a gateway may write between them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from peewee import JOIN, SQL, Case, Database, Value, fn

from gateway.model import RouteKey
from gateway.store.reads.pages import COUNT, IdRange, find_end
from gateway.store.tables import Deliveries, Signals
from gateway.store.values import STATES, CustodyPage, Violation

FIGURES = ("accepted", *STATES)
Given = Deliveries.alias("given")
Head = Deliveries.alias("head")


def whole_range(db: Database, after: int) -> IdRange:
    """Return the range of all ids above `after`, also of deliveries that have lost their signals."""
    fields = (Signals.id, Deliveries.signal_id)
    firsts = [first for field in fields if (first := find_end(db, fn.MIN, field)) >= 0]
    return IdRange(max(min(firsts, default=0), after + 1), max(find_end(db, fn.MAX, field) for field in fields))


def check_page(db: Database, whole: IdRange, ids: IdRange) -> CustodyPage:
    """Return the ledger and the violations of one page."""
    ledger: defaultdict[RouteKey, Counter[str]] = defaultdict(lambda: Counter(dict.fromkeys(FIGURES, 0)))
    for account, route, state, count in count_deliveries(db, ids):
        ledger[account, route].update({"accepted": count, **({state: count} if state in STATES else {})})
    found = {key: counts["accepted"] for key, counts in ledger.items()}
    violations = [*find_miscounted(db, ids), *find_inconsistent(db, ids)]
    signals = 0
    for account, unrouted, count in count_signals(db, ids):
        signals += count
        names = read_names(unrouted)
        if names is None:
            violations += find_unreadable(db, ids, unrouted)
        for name in names or ():
            ledger[account, name].update({"accepted": count, "filtered": count})
    return CustodyPage(whole.first, ids.last, whole.last, found, signals, ledger, violations)


# -- signals


def count_signals(db: Database, ids: IdRange) -> Iterable[tuple[str, str, int]]:
    """Return account, unrouted and the number of signals. The lists of unrouted routes are few, and repeat."""
    group = (Signals.account, Signals.unrouted)
    query = Signals.select(*group, COUNT).where(Signals.id.between(ids.first, ids.last)).group_by(*group)
    return list(query.tuples().execute(db))


def read_names(unrouted: str) -> list[str] | None:
    """Return the routes of a column `unrouted`; None if it is no list."""
    try:
        names = orjson.loads(unrouted) if unrouted else []
    except orjson.JSONDecodeError:
        return None
    return names if isinstance(names, list) else None


def find_unreadable(db: Database, ids: IdRange, unrouted: str) -> Iterator[Violation]:
    """Yield signals that have this unreadable list."""
    query = Signals.select(Signals.id, Signals.account)
    rows = query.where(Signals.id.between(ids.first, ids.last), Signals.unrouted == unrouted)
    for id, account in rows.tuples().execute(db):
        yield Violation(id, account, None, "its list of the routes that did not ask for it can't be read")


def find_miscounted(db: Database, ids: IdRange) -> Iterator[Violation]:
    """Yield signals with another number of deliveries than they were given when accepted."""
    has = Given.select(COUNT).where(Given.signal_id == Signals.id, Given.received_at == Signals.received_at)
    query = Signals.select(Signals.id, Signals.account, Signals.deliveries, has)
    rows = query.where(Signals.id.between(ids.first, ids.last), Signals.deliveries != has)
    for id, account, given, found in rows.tuples().execute(db):
        yield Violation(id, account, None, f"was given {given} deliveries and has {found}")


# -- deliveries

PENDING = Deliveries.state == "pending"
DUE = Deliveries.due_at.is_null(False)
WAITS = PENDING & ~DUE & (Deliveries.held == 0)
LEASED = Deliveries.lease.is_null(False)
HEADS = Head.select(COUNT).where(
    Head.account == Deliveries.account,
    Head.route == Deliveries.route,
    Head.lane == Deliveries.lane,
    # As literals: the partial index of heads is used only if the planner sees its condition.
    SQL("head.state = 'pending' AND head.due_at IS NOT NULL AND head.lane IS NOT NULL"),
)
UNROUTED_WITHOUT_ROUTE = fn.REPLACE(Signals.unrouted, Value('"').concat(Deliveries.route).concat('"'), "")
"""Differs from `unrouted` if the list contains the delivery's route."""
RULES: Mapping[str, Any] = {
    "its signal is not in the store": Signals.id.is_null(),
    "its account is not its signal's": Deliveries.account != Signals.account,
    "has an unknown state": Deliveries.state.not_in(STATES),
    "its signal says that the route did not ask for it": Signals.unrouted != UNROUTED_WITHOUT_ROUTE,
    "is pending, but says when it ended": PENDING & Deliveries.ended_at.is_null(False),
    "is held, but due": PENDING & (Deliveries.held == 1) & DUE,
    "is leased, but not due": PENDING & LEASED & ~DUE,
    "waits, but neither for its order nor behind another": WAITS & Deliveries.lane.is_null(),
    "waits in a lane that has no head, or several": WAITS & Deliveries.lane.is_null(False) & (HEADS != 1),
    "has ended, but does not say when": ~PENDING & Deliveries.ended_at.is_null(),
    "has ended, but is due": ~PENDING & DUE,
    "has ended, but is leased": ~PENDING & LEASED,
    "has ended, but is held": ~PENDING & (Deliveries.held == 1),
    "has a lease without an end time, or an end time without a lease": Deliveries.leased_until.is_null(False) != LEASED,
}
"""Conditions that no delivery may meet. A unique index guarantees at most one head per lane."""


def find_inconsistent(db: Database, ids: IdRange) -> Iterator[Violation]:
    """Yield deliveries that break a rule, each with the first rule that it breaks."""
    broken = Case(None, [(rule, problem) for problem, rule in RULES.items()])
    query = Deliveries.select(Deliveries.signal_id, Deliveries.account, Deliveries.route, broken)
    same = (Signals.id == Deliveries.signal_id) & (Signals.received_at == Deliveries.received_at)
    query = query.join(Signals, JOIN.LEFT_OUTER, on=same)
    rows = query.where(Deliveries.signal_id.between(ids.first, ids.last), broken.is_null(False))
    for row in rows.order_by(Deliveries.signal_id, Deliveries.route).tuples().execute(db):
        yield Violation(*row)


def count_deliveries(db: Database, ids: IdRange) -> Iterable[tuple[str, str, str, int]]:
    """Return account, route, state and the number of deliveries."""
    group = (Deliveries.account, Deliveries.route, Deliveries.state)
    query = Deliveries.select(*group, COUNT).where(Deliveries.signal_id.between(ids.first, ids.last))
    return list(query.group_by(*group).tuples().execute(db))
