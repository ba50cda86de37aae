"""PostgreSQL: the store in the database that a URL names."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import psycopg
from peewee import PeeweeException
from psycopg.conninfo import conninfo_to_dict

from gateway.errors import GatewayError, StoreError
from gateway.store import pipeline
from gateway.store.connection import Reconnecting
from gateway.store.contract import Settings, Store
from gateway.store.database import DatabaseStore, Dialect
from gateway.store.migrations import APPLICATION, migrate, open_schema
from gateway.store.notify import PostgresNotifier
from gateway.store.order_locks import lock_orders
from gateway.store.writer import describe_failure

READERS = 3
"""One for what was claimed, two for all else."""
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
ANSWER = 10.0
READ = 60.0
"""Seconds for which an answer is waited for, by what senders and deliveries wait for and by other reading."""


def open_postgres(settings: Settings, loop: asyncio.AbstractEventLoop) -> Store:
    """The store in the database that `settings.url` names; see `open_store`. Many may serve from it at once."""
    parameters = parameters_of(settings)
    with contextlib.ExitStack() as opened:
        try:
            writer = connect(parameters, settings, opened, ANSWER, transactions=True)
            claims = connect(parameters, settings, opened, ANSWER)
            readers = [connect(parameters, settings, opened, READ) for _ in range(READERS - 1)]
            open_schema(readers[0])
        except PeeweeException as error:
            raise cant_open(parameters, error) from error
        opened.pop_all()
    notifier = None if settings.pooler else PostgresNotifier(parameters, loop, ANSWER)
    dialect = Dialect(
        shared=True, prepare=lock_orders, revive=Reconnecting.revive, forms=pipeline.FORMS, notifier=notifier
    )
    return DatabaseStore(writer, [claims, *readers], settings.queue, loop, None, settings.actor, dialect)


def migrate_postgres(settings: Settings, contract: bool) -> list[str]:
    """Bring the database to this version's schema; the steps applied. See gateway.store.migrations."""
    parameters = parameters_of(settings)
    with contextlib.ExitStack() as opened:
        try:
            return migrate(connect(parameters, settings, opened), contract)
        except PeeweeException as error:
            raise cant_open(parameters, error) from error


def cant_open(parameters: dict[str, Any], error: PeeweeException) -> StoreError:
    why = describe_failure(error)
    if "certificate" in why:
        why += "; the host, sslmode and sslrootcert in store.url say which certificate is expected"
    return StoreError(f"can't open the store {name_of(parameters)}: {why}")


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
    return db
