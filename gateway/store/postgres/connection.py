"""Connects to PostgreSQL: opens a connection again when it breaks, gives up when it hangs, and pipelines statements.

From its first transaction on, a connection is in libpq's pipeline mode: statements are sent without waiting until a
result is needed. If no statement's result is needed before COMMIT, the transaction is a single round trip.
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

FIRST_RETRY = 0.1
LONGEST_RETRY = 2.0
"""Seconds between attempts to connect again. Calls meanwhile fail at once, so that senders get an answer."""

READ_ONLY = "25006"
"""PostgreSQL's code for a write on a read-only server."""
REPLAN_INTERVAL = 10.0
"""Seconds after which statements are planned again: a plan made for an empty table is soon a bad one."""

SETTINGS = """
SELECT set_config(name, value, %s) FROM (VALUES
    -- A transaction that we gave up must not keep its locks: the server may not notice that the client is gone.
    ('idle_in_transaction_session_timeout', %s), ('transaction_timeout', %s),
    -- All our statements are written for their indexes; the planner guesses badly on tables without statistics.
    ('enable_seqscan', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'), ('jit', 'off'),
    ('plan_cache_mode', 'force_generic_plan'),
    -- A server may be configured to answer before it has written; a commit of ours waits for the disk.
    ('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' END)
) given (name, value)
WHERE value IS NOT NULL AND current_setting(name, true) IS NOT NULL  -- transaction_timeout is of version 17
"""


class Bounded(psycopg.Connection[Any]):
    """A connection that is closed when the server does not answer within `longest` seconds.

    The network's own timeouts don't help if a proxy or a balancer accepts statements and passes nothing on.
    """

    longest: float | None = None

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        if self.longest is not None:
            gen = self._give_up(gen, self.longest)
        return super().wait(gen, *args, **options)

    def _give_up(self, gen: Any, longest: float) -> Generator[Any, Any, Any]:
        """Run the generator until it has taken too long. It is resumed every tenth of a second without an answer."""
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
    """A connection for one thread at a time, opened again after it broke, at growing intervals.

    With `pooled`, a transaction pooler may give each transaction another session: nothing is prepared, and settings are
    set in each transaction. Calls are given up after `longest` seconds, and with `transactions` by the server too.
    """

    psycopg3_adapter = Adapter

    def __init__(
        self, parameters: dict[str, Any], pooled: bool, longest: float | None = None, transactions: bool = False
    ) -> None:
        self._pooled = pooled
        self.longest = longest
        self._limit = f"{longest * 1000:.0f}" if longest is not None and transactions else None
        self._wait = FIRST_RETRY
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
            self._driver().close()  # first, because leaving pipeline mode would wait for the server
        with contextlib.suppress(psycopg.Error):
            self._mode.close()
        closed: bool = super().close()
        return closed

    def revive(self) -> bool:
        """Open the connection again if it broke; return True if so. Raises OperationalError if that fails."""
        if not self.is_closed() and not self._driver().closed:
            return False
        if time.monotonic() < self._next_try:
            raise OperationalError("the database could not be reached; the next attempt follows soon")
        with contextlib.suppress(PeeweeException):
            self.close()
        try:
            self.connect()
        except PeeweeException:
            self._next_try = time.monotonic() + self._wait
            self._wait = min(2 * self._wait, LONGEST_RETRY)
            raise
        self._wait = FIRST_RETRY
        return True

    @property
    def server_encoding(self) -> str:
        """Return the encoding of the database, such as UTF8."""
        return str(self._driver().info.parameter_status("server_encoding"))

    def _driver(self) -> Any:
        return self.connection()  # type: ignore[no-untyped-call]

    # -- transactions

    def begin(self, isolation_level: Any = None) -> None:
        """Begin a transaction, on a new connection if need be. Raises OperationalError if none can be opened."""
        self.revive()
        if self._pipeline is None:
            self._pipeline = self._mode.enter_context(self._driver().pipeline())
        self.send(f"BEGIN ISOLATION LEVEL {isolation_level or 'READ COMMITTED'}")
        if self._pooled:
            self.send(SETTINGS, self._settings(local=True))
        elif time.monotonic() >= self._replan_at:
            self.send("DISCARD PLANS")
            self._replan_at = time.monotonic() + REPLAN_INTERVAL

    def leave_pipeline(self) -> None:
        """Leave pipeline mode until the transaction's end: COPY can't be pipelined."""
        self._settle()
        self._pipeline = None
        self._mode.close()

    def commit(self) -> None:
        """Commit. Raises the error of the first sent statement that failed."""
        self.execute_sql("COMMIT")

    def rollback(self) -> None:
        """Roll back. If the server refused a statement, end the connection.

        Quirk of psycopg: a statement that was to be prepared in a pipeline that failed before counts as prepared.
        """
        with contextlib.suppress(PeeweeException):
            self._settle()  # statements sent before and after the one that failed
            if self._driver().info.transaction_status is TransactionStatus.INTRANS:
                self.execute_sql("ROLLBACK")
                return
        self._driver().close()

    # -- statements

    def send(self, sql: str, params: Any = None) -> Any:
        """Send a statement without waiting. Its rows are there, and its error is raised, at the next `execute_sql`."""
        return super().execute_sql(sql, params)  # type: ignore[no-untyped-call]

    def execute_sql(self, sql: Any, params: Any = None) -> Any:
        """Run a statement. A server that is read-only now was the primary once: a new connection finds the new one."""
        try:
            cursor = self.send(sql, params)
            self._settle()
        except PeeweeException as error:
            if getattr(getattr(error, "orig", None), "sqlstate", "") == READ_ONLY:
                self._driver().close()
            raise
        return cursor

    def _settle(self) -> None:
        """Wait for the answers to all statements sent."""
        if self._pipeline is not None:
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
                self._pipeline.sync()
