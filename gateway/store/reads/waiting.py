"""Finds the orders and items that watches ask for, in one statement for many accounts.

Ten thousand accounts share the few watches of their tenants. For each account, the statements seek in the index of the
states. So the cost grows with the accounts and with what waits there, not with what is finished.
"""

from __future__ import annotations

from collections.abc import Sequence

from peewee import Database

from gateway.order_state import State
from gateway.signal_types import GATEWAY_ALERT
from gateway.store.order_tables import HourlySignals
from gateway.store.reads.orders import STATE_ROW, make_state, read_place
from gateway.store.rows import dumps, micros, seconds
from gateway.store.statements import execute, is_postgres
from gateway.store.tables import Signals

COLUMNS = ", ".join(f"s.{name}" for name in STATE_ROW)
AT_STAGES = "s.account = {account} AND s.stage >= {value} AND s.stage < {value}"
LATE = "{time} < {value}"
TROUBLED = "s.problems > 0 AND s.item <> ''"
SQLITE = f"""
SELECT {COLUMNS} FROM json_each(?) a CROSS JOIN order_states s
WHERE {AT_STAGES} AND {{term}} ORDER BY s.since LIMIT ?
"""
# With a limit of its own, the planner can't turn the seeks of the accounts into a scan of all states.
POSTGRES = f"""
SELECT s.* FROM jsonb_array_elements_text(%s::jsonb) a CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM order_states s WHERE {AT_STAGES} AND {{term}} ORDER BY s.since LIMIT %s) s
"""


def list_late(
    db: Database, accounts: Sequence[str], stages: tuple[int, int], kind: str, before: float, limit: int
) -> list[State]:
    """Return states at these stages whose first signal of a type, `kind`, came before that time."""
    time = f"(s.detail::jsonb #>> '{{times,{kind}}}')::bigint" if is_postgres(db) else f"s.detail ->> '$.times.{kind}'"
    return run(db, accounts, stages, LATE.replace("{time}", time), [micros(before)], limit)


def list_troubled(db: Database, accounts: Sequence[str], stages: tuple[int, int], limit: int) -> list[State]:
    """Return items at these stages with an open problem."""
    return run(db, accounts, stages, TROUBLED, [], limit)


def list_active_hours(db: Database, account: str, since: float) -> list[float]:
    """Return the beginnings of the hours since that time in which an account had signals, in order."""
    table = HourlySignals
    query = table.select(table.hour).where(table.account == account, table.hour >= micros(since))
    query = (
        query.where(table.answer == "accepted", table.type != GATEWAY_ALERT).group_by(table.hour).order_by(table.hour)
    )
    return [hour / 1e6 for (hour,) in query.tuples().execute(db)]


def oldest_unfollowed(db: Database) -> float | None:
    """Return the receipt of the first signal that is in no state yet, None if there is none."""
    query = Signals.select(Signals.received_at).where(Signals.id > read_place(db).position).order_by(Signals.id)
    return seconds(next((at for (at,) in query.limit(1).tuples().execute(db)), None))


def run(
    db: Database, accounts: Sequence[str], stages: tuple[int, int], term: str, values: Sequence[int], limit: int
) -> list[State]:
    """Run the statement of this database with a term of its own."""
    postgres = is_postgres(db)
    text = (POSTGRES if postgres else SQLITE).replace("{term}", term)
    text = text.replace("{account}", "a" if postgres else "a.value").replace("{value}", "%s" if postgres else "?")
    return [make_state(row) for row in execute(db, text, dumps(list(accounts)), *stages, *values, limit)]
