"""A connection to PostgreSQL: made anew when it breaks, given up when it hangs, and one round trip for all that a
transaction says.

From its first transaction on a connection is in libpq's pipeline mode: what is sent is not waited for until something
needs an answer. A transaction of which nothing does before its end is one message there and one back, COMMIT included.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from typing import Any

import peewee
import psycopg
from peewee import OperationalError, PeeweeException, PostgresqlDatabase, Psycopg3Adapter
from psycopg.pq import TransactionStatus

FIRST_WAIT = 0.1
LONGEST_WAIT = 2.0
"""Seconds between tries to connect again; what is asked meanwhile fails at once, so that senders are told."""

READ_ONLY = "25006"
REPLAN = 10.0
"""Seconds after which statements are planned anew: a plan made for a table that had nothing yet is no good for long."""

SETTINGS = """
SELECT set_config(name, value, %s) FROM (VALUES
    -- What we have given up is not to keep its locks: the server may not see either that nobody is there any more.
    ('idle_in_transaction_session_timeout', %s), ('transaction_timeout', %s),
    -- Each statement of ours is meant for its indexes, whatever the planner guesses of tables not counted yet.
    ('enable_seqscan', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'), ('jit', 'off'),
    ('plan_cache_mode', 'force_generic_plan'),
    -- A server may be set to answer before it has written; ours is to be waited for.
    ('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' END)
) given (name, value)
WHERE value IS NOT NULL AND current_setting(name, true) IS NOT NULL  -- the second is of version 17
"""


class Bounded(psycopg.Connection[Any]):
    """A connection that is closed when the server says nothing for `longest` seconds while it is waited for.

    The network's own timeouts don't see to that where something in between, a proxy or a balancer, takes what is sent
    and passes nothing on.
    """

    longest: float | None = None

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        if self.longest is not None:
            gen = self._give_up(gen, self.longest)
        return super().wait(gen, *args, **options)

    def _give_up(self, gen: Any, longest: float) -> Generator[Any, Any, Any]:
        """The generator, which is told every tenth of a second that there is nothing yet, until it has taken too
        long."""
        deadline = time.monotonic() + longest
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() >= deadline:
                    self.close()
                    raise psycopg.OperationalError(f"no answer within {longest:g} s")
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value


class Adapter(Psycopg3Adapter):
    def connect(self, db: Any, **parameters: Any) -> Bounded:
        connection = Bounded.connect(dbname=db.database, **parameters)
        connection.longest = db.longest
        return connection


class Reconnecting(PostgresqlDatabase):
    """A connection for one thread at a time, made anew when it is found broken, at growing intervals.

    `pooled`: there is a transaction pooler between, which may give each transaction another session; so nothing is
    prepared, and nothing set for longer. What takes more than `longest` seconds is given up, and with `transactions`
    by the server too.
    """

    psycopg3_adapter = Adapter

    def __init__(
        self, parameters: dict[str, Any], pooled: bool, longest: float | None = None, transactions: bool = False
    ) -> None:
        self._pooled = pooled
        self.longest = longest
        self._limit = f"{longest * 1000:.0f}" if longest is not None and transactions else None
        self._wait = FIRST_WAIT
        self._next_try = 0.0
        self._replan_at = 0.0
        self._pipeline: psycopg.Pipeline | None = None
        self._mode = contextlib.ExitStack()
        given = {name: value for name, value in parameters.items() if name != "dbname"}
        if pooled:
            given["prepare_threshold"] = None
        super().__init__(parameters.get("dbname", ""), thread_safe=False, prefer_psycopg3=True, **given)

    def _initialize_connection(self, conn: Any) -> None:
        if not self._pooled:
            conn.execute(SETTINGS, self._settings(local=False))

    def _settings(self, local: bool) -> tuple[Any, ...]:
        return local, self._limit, self._limit

    def close(self) -> bool:
        self._pipeline = None
        if not self.is_closed():
            self._driver().close()  # first: to leave the mode would wait for the server
        with contextlib.suppress(psycopg.Error):
            self._mode.close()
        closed: bool = super().close()
        return closed

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

    # -- transactions

    def begin(self, isolation_level: Any = None) -> None:
        """Begin a transaction, on a new connection if need be. Raises OperationalError where there is none yet."""
        self.revive()
        if self._pipeline is None:
            self._pipeline = self._mode.enter_context(self._driver().pipeline())
        self.send(f"BEGIN ISOLATION LEVEL {isolation_level or 'READ COMMITTED'}")
        if self._pooled:
            self.send(SETTINGS, self._settings(local=True))
        elif time.monotonic() >= self._replan_at:
            self.send("DISCARD PLANS")
            self._replan_at = time.monotonic() + REPLAN

    def leave_pipeline(self) -> None:
        """Wait for each statement from here to the transaction's end, as COPY needs it."""
        self._settle()
        self._pipeline = None
        self._mode.close()

    def commit(self) -> None:
        """Raises what the first of the statements failed with that was not waited for."""
        self.execute_sql("COMMIT")

    def rollback(self) -> None:
        """Take the transaction back; where the server refused any of it, by ending the connection: psycopg takes a
        statement for prepared, for good, that was to be in a pipeline that failed before it."""
        with contextlib.suppress(PeeweeException):
            self._settle()  # what was sent before, and after what failed
            if self._driver().info.transaction_status is TransactionStatus.INTRANS:
                self.execute_sql("ROLLBACK")
                return
        self._driver().close()

    # -- statements

    def send(self, sql: str, params: Any = None) -> Any:
        """As `execute_sql`, but within a transaction nothing is waited for: the cursor has its rows, and what failed is
        raised, at the next `execute_sql` or at the end."""
        return super().execute_sql(sql, params)  # type: ignore[no-untyped-call]

    def execute_sql(self, sql: Any, params: Any = None) -> Any:
        """As the base has it; a server that only reads now was the primary once: the next connection finds the new."""
        try:
            cursor = self.send(sql, params)
            self._settle()
        except PeeweeException as error:
            if getattr(getattr(error, "orig", None), "sqlstate", "") == READ_ONLY:
                self._driver().close()
            raise
        return cursor

    def _settle(self) -> None:
        """Wait for the answers to all that was sent."""
        if self._pipeline is not None:
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
                self._pipeline.sync()
