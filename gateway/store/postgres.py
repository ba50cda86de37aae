"""PostgreSQL: how it is reached, and found again after it went away."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import psycopg
from peewee import OperationalError, PeeweeException, PostgresqlDatabase
from psycopg.conninfo import conninfo_to_dict

from gateway.errors import GatewayError, StoreError
from gateway.store.bell import NotifyBell
from gateway.store.contract import Settings, Store
from gateway.store.database import DatabaseStore, Ways
from gateway.store.migrations import APPLICATION, migrate, open_schema
from gateway.store.orders import lock_orders
from gateway.store.writer import describe_failure

READERS = 2
REACH: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": APPLICATION,
}
"""Where the URL does not say otherwise. A network that is cut says nothing: without these the writer would wait for it
for a quarter of an hour."""
FIRST_WAIT = 0.1
LONGEST_WAIT = 2.0
"""Seconds between tries to connect again; what is asked meanwhile fails at once, so that senders are told."""

READ_ONLY = "25006"

# Each statement of ours is meant for its indexes, whatever the planner guesses of tables that it has not counted yet.
PLANS = ("enable_seqscan = off", "enable_hashjoin = off", "enable_mergejoin = off", "jit = off")
# A server may be set to answer before it has written; ours is to be waited for.
DURABLE = "SELECT set_config('synchronous_commit', 'on', {local}) WHERE current_setting('synchronous_commit') = 'off'"


def open_postgres(settings: Settings, loop: asyncio.AbstractEventLoop) -> Store:
    """The store in the database that `settings.url` names; see `open_store`. Many may serve from it at once."""
    parameters = parameters_of(settings)
    with contextlib.ExitStack() as opened:
        try:
            databases = [connect(parameters, settings, opened) for _ in range(1 + READERS)]
            open_schema(databases[0])
        except PeeweeException as error:
            raise cant_open(parameters, error) from error
        opened.pop_all()
    bell = None if settings.pooler else NotifyBell(parameters, loop)
    ways = Ways(shared=True, prepare=lock_orders, revive=Reconnecting.revive, bell=bell)
    return DatabaseStore(databases[0], databases[1:], settings.queue, loop, None, settings.actor, ways)


def migrate_postgres(settings: Settings, contract: bool) -> list[str]:
    """Bring the database to this version's schema; the steps applied. See gateway.store.migrations."""
    parameters = parameters_of(settings)
    with contextlib.ExitStack() as opened:
        try:
            return migrate(connect(parameters, settings, opened), contract)
        except PeeweeException as error:
            raise cant_open(parameters, error) from error


def cant_open(parameters: dict[str, Any], error: PeeweeException) -> StoreError:
    return StoreError(f"can't open the store {name_of(parameters)}: {describe_failure(error)}")


def parameters_of(settings: Settings) -> dict[str, Any]:
    """What the URL says, with what it leaves out. libpq's own words about a wrong URL may hold its password."""
    try:
        given = conninfo_to_dict(settings.url)
    except psycopg.Error:
        raise GatewayError(
            "store.url: expected postgresql://user@host/database, with options that libpq knows"
        ) from None
    if settings.password:
        given["password"] = settings.password
    return {**REACH, **given}


def name_of(parameters: dict[str, Any]) -> str:
    """The database's name for people."""
    return f"{parameters.get('dbname', '')} at {parameters.get('host', 'the local socket')}"


def connect(parameters: dict[str, Any], settings: Settings, opened: contextlib.ExitStack) -> Reconnecting:
    db = Reconnecting(parameters, settings.pooler)
    db.connect()
    opened.callback(db.close)
    return db


class Reconnecting(PostgresqlDatabase):
    """A connection for one thread at a time, made anew when it is found broken, at growing intervals.

    `pooled`: there is a transaction pooler between, which may give each transaction another session; so nothing is
    prepared, and nothing set for longer.
    """

    def __init__(self, parameters: dict[str, Any], pooled: bool) -> None:
        self._pooled = pooled
        self._wait = FIRST_WAIT
        self._next_try = 0.0
        given = {name: value for name, value in parameters.items() if name != "dbname"}
        if pooled:
            given["prepare_threshold"] = None
        super().__init__(parameters.get("dbname", ""), thread_safe=False, prefer_psycopg3=True, **given)

    def _initialize_connection(self, conn: Any) -> None:
        if not self._pooled:
            conn.execute("; ".join([*(f"SET {plan}" for plan in PLANS), DURABLE.format(local="false")]))

    def begin(self, isolation_level: Any = None) -> None:
        """Begin a transaction, on a new connection if need be. Raises OperationalError where there is none yet."""
        self.revive()
        begin = f"BEGIN ISOLATION LEVEL {isolation_level or 'READ COMMITTED'}"
        if self._pooled:
            begin = "; ".join([begin, *(f"SET LOCAL {plan}" for plan in PLANS), DURABLE.format(local="true")])
        self.execute_sql(begin)

    def revive(self) -> bool:
        """See that there is a connection that is not known to be broken; whether a new one was made."""
        if not self.is_closed() and not self._driver().closed:
            return False
        if time.monotonic() < self._next_try:
            raise OperationalError("the database could not be reached; trying again soon")
        with contextlib.suppress(PeeweeException):
            self.close()
        try:
            self.connect()
        except PeeweeException:
            self._next_try = time.monotonic() + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            raise
        self._wait = FIRST_WAIT
        return True

    def _driver(self) -> Any:
        return self.connection()  # type: ignore[no-untyped-call]

    def execute_sql(self, sql: Any, params: Any = None) -> Any:
        """As the base has it; a server that only reads now was the primary once: the next connection finds the new."""
        try:
            return super().execute_sql(sql, params)  # type: ignore[no-untyped-call]
        except PeeweeException as error:
            if getattr(getattr(error, "orig", None), "sqlstate", "") == READ_ONLY:
                self._driver().close()
            raise
