"""Writes of order states and of the counts of signals, with the follower's position: all or nothing."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from peewee import Database

from gateway.order_state import Event, ItemState, State, fold, keys_of
from gateway.signal_types import GATEWAY_ALERT
from gateway.store.order_tables import Followers
from gateway.store.reads.orders import FOLLOWER, STATE_ROW, read_next, read_place, read_states, state_row
from gateway.store.rows import dumps, micros
from gateway.store.statements import execute, is_postgres

HOUR = 3_600_000_000
"""Microseconds."""
ACCEPTED = "accepted"
"""Answer of the signals that are on disk, held or not."""


class SaveStates(NamedTuple):
    """Changes that a batch of `added` signals makes. They are written only if the follower still has that version.

    `counts` are numbers of signals by account, hour and type. `activity` has the first and last receipt of a signal,
    and the number, of each account. `cost` is the CPU time of the fold in seconds.
    """

    position: int
    added: int
    version: int
    owner: str
    until: int
    states: Sequence[State]
    counts: Mapping[tuple[str, int, str], int]
    activity: Mapping[str, tuple[int, int, int]]
    cost: float


def upsert(table: str, columns: Sequence[str], keys: int, changes: Sequence[str]) -> Mapping[str, str]:
    """Return, for each database, an INSERT of rows in a JSON array that changes the rows that are there.

    The first `keys` columns are the table's key. Without changes, rows that are there stay.
    """
    update = f"DO UPDATE SET {', '.join(changes)}" if changes else "DO NOTHING"
    conflict = f"ON CONFLICT ({', '.join(columns[:keys])}) {update}"
    of_sqlite = conflict.replace("least(", "min(").replace("greatest(", "max(")
    into = f"INSERT INTO {table} ({', '.join(columns)})"
    numbers = [f"value ->> {number}" for number, _ in enumerate(columns)]
    typed = [f"(value ->> {n})::{'bigint' if name in NUMBERS else 'text'}" for n, name in enumerate(columns)]
    return {
        "sqlite": f"{into} SELECT {', '.join(numbers)} FROM json_each(?) WHERE true {of_sqlite}",
        "postgres": f"{into} SELECT {', '.join(typed)} FROM jsonb_array_elements(%s::jsonb) {conflict}",
    }


NUMBERS = frozenset({"stage", "since", "problems", "first_seen", "last_seen", "signals", "late", "hour", "number"})
"""Columns of these tables that are numbers."""
WRITE_STATES = upsert("order_states", STATE_ROW, 3, [f"{name} = excluded.{name}" for name in STATE_ROW[3:]])
WRITE_TRACKING = upsert("order_tracking", ("tracking", "account", "order_id", "item"), 4, ())
COUNT_SIGNALS = upsert(
    "hourly_signals",
    ("account", "hour", "type", "answer", "number"),
    4,
    ["number = hourly_signals.number + excluded.number"],
)
NOTE_ACTIVITY = upsert(
    "account_activity",
    ("account", "first_seen", "last_seen", "signals"),
    1,
    [
        "first_seen = least(account_activity.first_seen, excluded.first_seen)",
        "last_seen = greatest(account_activity.last_seen, excluded.last_seen)",
        "signals = account_activity.signals + excluded.signals",
    ],
)


def run(db: Database, text: Mapping[str, str], rows: Iterable[list[Any]]) -> None:
    """Run an upsert for rows, if there are any. They are sorted, so that no two transactions wait for each other."""
    if some := sorted(rows):
        execute(db, text["postgres" if is_postgres(db) else "sqlite"], dumps(some))


# -- following


def prepare(db: Database, owner: str, now: float, until: float, upto: int, limit: int) -> SaveStates | None:
    """Read the next signals, up to that id, and return their changes; None while another follows."""
    began = time.thread_time()
    place = read_place(db)
    if place.owner not in ("", owner) and place.until > micros(now):
        return None
    added = read_next(db, place.position, upto, limit)
    # The gateway's own signals tell nothing new of an order, nor that a client is alive.
    events = [event for _, event in added if event.type != GATEWAY_ALERT]
    of_orders = [event for event in events if event.order]
    known = read_states(db, *keys_of(of_orders)) if of_orders else {}
    states = list(fold(known, of_orders).values())
    position = added[-1].id if added else place.position
    counts = Counter((event.account, event.received_at // HOUR * HOUR, event.type) for _, event in added)
    sums = activity_of(events)
    cost = time.thread_time() - began
    return SaveStates(position, len(added), place.version, owner, micros(until), states, counts, sums, cost)


def activity_of(events: Iterable[Event]) -> dict[str, tuple[int, int, int]]:
    """Return the first and last receipt and the number of each account's signals."""
    times: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        times[event.account].append(event.received_at)
    return {account: (min(some), max(some), len(some)) for account, some in times.items()}


def save_states(db: Database, items: Sequence[SaveStates]) -> list[float | None]:
    """Write changes of states, and answer the CPU seconds that it cost.

    The answer is None, and nothing is written, if others have written since they were read.
    """
    return [save_one(db, item) for item in items]


def save_one(db: Database, item: SaveStates) -> float | None:
    """Write the changes of one batch."""
    began = time.thread_time()
    values = {"position": item.position, "owner": item.owner, "until": item.until}
    if not advance(db, has_version(item.version), **values):
        return None
    run(db, WRITE_STATES, map(state_row, item.states))
    run(db, WRITE_TRACKING, tracking_rows(item.states))
    run(db, COUNT_SIGNALS, ([account, hour, kind, ACCEPTED, n] for (account, hour, kind), n in item.counts.items()))
    run(db, NOTE_ACTIVITY, ([account, *values] for account, values in item.activity.items()))
    return time.thread_time() - began


def tracking_rows(states: Iterable[State]) -> Iterator[list[Any]]:
    """Yield a row for each tracking number."""
    for state in states:
        if isinstance(state, ItemState):
            yield from ([number, *state.key] for number in state.tracking)


def has_version(version: int) -> Any:
    """Return the condition that nobody has written the follower's tables since they had this version."""
    return Followers.version == version


def advance(db: Database, *terms: Any, **values: Any) -> bool:
    """Lock the follower's row and raise its version: no other write of its tables goes on until the commit."""
    query = Followers.update(version=Followers.version + 1, **values)
    return bool(query.where(Followers.name == FOLLOWER, *terms).execute(db))
