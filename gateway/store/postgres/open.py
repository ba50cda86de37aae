"""Opens a store in a PostgreSQL database."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from typing import Any

import psycopg
from peewee import PeeweeException
from psycopg.conninfo import conninfo_to_dict

from gateway.errors import GatewayError, StoreError, StoreUnreachable
from gateway.store.contract import Settings, Store
from gateway.store.failures import describe_failure, passes_by_itself
from gateway.store.migrations import APPLICATION, migrate, open_schema
from gateway.store.postgres.connection import Reconnecting
from gateway.store.postgres.dialect import PostgresDialect
from gateway.store.postgres.notify import PostgresNotifier
from gateway.store.store import DatabaseStore
from gateway.store.values import Actor

READERS = 3
"""Connections: one for claimed deliveries, two for everything else."""
CONNECTION_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": APPLICATION,
}
"""libpq's parameters, unless the URL sets them. A network that is cut says nothing: without these the writer would wait
for a quarter of an hour."""
ANSWER_TIMEOUT = 10.0
"""Seconds to wait for an answer that a sender or a delivery waits for."""
READ_TIMEOUT = 60.0
"""Seconds to wait for an answer to any other query."""


def open_postgres(settings: Settings, loop: asyncio.AbstractEventLoop, create: bool = True) -> Store:
    """Open the store in the database that `settings.url` names; see `open_store`. Many may serve from it at once."""
    parameters = parameters_of(settings)
    with contextlib.ExitStack() as opened:
        try:
            writer = connect(parameters, settings, opened, ANSWER_TIMEOUT, transactions=True)
            claims = connect(parameters, settings, opened, ANSWER_TIMEOUT)
            readers = [connect(parameters, settings, opened, READ_TIMEOUT) for _ in range(READERS - 1)]
            open_schema(readers[0], create)
        except PeeweeException as error:
            raise open_error(parameters, error) from error
        opened.pop_all()
    notifier = None if settings.pooler else PostgresNotifier(parameters, loop, ANSWER_TIMEOUT)
    dialect = PostgresDialect(notifier)
    return DatabaseStore(
        writer, [claims, *readers], dialect, settings.queue, loop, Actor(settings.actor, settings.origin)
    )


def migrate_postgres(settings: Settings, contract: bool) -> list[str]:
    """Bring the database to this version's schema, and return the migrations applied; see gateway.store.migrations."""
    parameters = parameters_of(settings)
    with contextlib.ExitStack() as opened:
        try:
            return migrate(connect(parameters, settings, opened), contract)
        except PeeweeException as error:
            raise open_error(parameters, error) from error


def open_error(parameters: dict[str, Any], error: PeeweeException) -> StoreError:
    reason = describe_failure(error)
    if "certificate" in reason:
        reason += "; the host, sslmode and sslrootcert in store.url say which certificate is expected"
    kind = StoreUnreachable if passes_by_itself(error) else StoreError
    return kind(f"can't open the store {name_of(parameters)}: {reason}")


def parameters_of(settings: Settings) -> dict[str, Any]:
    """Return the URL's parameters with defaults. libpq's own message about a wrong URL may contain its password."""
    try:
        given = conninfo_to_dict(settings.url)
    except psycopg.Error:
        raise GatewayError(
            "store.url: expected postgresql://user@host/database, with options that libpq knows"
        ) from None
    for host in str(given.get("host") or "").split(","):
        require_host(host)
    if settings.password:
        given["password"] = settings.password
    return {**CONNECTION_DEFAULTS, **given, "client_encoding": "utf8"}


def require_host(host: str) -> None:
    """Raise unless a host can be looked up. It may be a socket's folder instead, which begins with / or @."""
    try:
        if not host.startswith(("/", "@")):
            host.encode("idna")
    except UnicodeError:
        raise GatewayError(f"store.url: the host {host!r} is no name that can be looked up") from None


def describe(settings: Settings) -> str:
    """Return the database's name and host."""
    return name_of(parameters_of(settings))


def command_line(settings: Settings, database: str) -> str:
    """Return the options with which PostgreSQL's own commands find the database, without the password.

    `database` stands before the database's name.
    """
    given = parameters_of(settings)
    options = [("host", "host"), ("port", "port"), ("user", "username")]
    words = [f"--{option}={shlex.quote(str(given[name]))}" for name, option in options if given.get(name)]
    return " ".join([*words, database + shlex.quote(str(given.get("dbname", "")))])


def name_of(parameters: dict[str, Any]) -> str:
    """Return the database's name for people."""
    return f"{parameters.get('dbname', '')} at {parameters.get('host', 'the local socket')}"


def connect(
    parameters: dict[str, Any],
    settings: Settings,
    opened: contextlib.ExitStack,
    longest: float | None = None,
    transactions: bool = False,
) -> Reconnecting:
    db = Reconnecting(parameters, settings.pooler, longest, transactions)
    db.connect()
    opened.callback(db.close)
    encoding = db.server_encoding
    if encoding != "UTF8":
        raise GatewayError(
            f"store.url: the database {name_of(parameters)} has the encoding {encoding}, which can't keep every text; "
            "expected UTF8: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
        )
    return db
