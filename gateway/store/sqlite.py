"""SQLite: where the file is, how it is opened, and that only one process serves from it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from peewee import OperationalError, PeeweeException, SqliteDatabase

from gateway.errors import GatewayError, StoreError
from gateway.store.contract import Settings, Store
from gateway.store.database import DatabaseStore
from gateway.store.integrity import IntegrityCheck, damaged, is_corrupt
from gateway.store.lock import Serving, ServingLock
from gateway.store.migrations import migrate, open_schema
from gateway.store.writer import describe_failure, original

READERS = 3
"""One for what was claimed, two for all else."""
BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes, a CLI command for instance."""

WRITER_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",  # in WAL mode "normal" may lose what was committed when the power fails
    "busy_timeout": 1,  # milliseconds; see Persistent
    "temp_store": "memory",  # each batch has some pages of its own while it runs; as files they are a tenth of its cost
}
READER_PRAGMAS = {"query_only": 1}


def open_sqlite(settings: Settings, loop: asyncio.AbstractEventLoop, exclusive: bool) -> Store:
    """The store in the file that `settings.url` names; see `open_store`."""
    path = path_of(settings.url)
    timeout = float(settings.options.get("busy_timeout", BUSY_TIMEOUT))
    with contextlib.ExitStack() as opened:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            serving = serve_alone(path, opened) if exclusive else None
            with one_at_a_time(path.parent):
                databases = [connect(path, timeout, WRITER_PRAGMAS, opened, "IMMEDIATE")]
                open_schema(databases[0])
            databases += [connect(path, timeout, READER_PRAGMAS, opened) for _ in range(READERS)]
            if serving:
                serving.begin()
        except (PeeweeException, sqlite3.Error) as error:
            if is_corrupt(error):
                raise damaged(path, describe_failure(error)) from error
            raise StoreError(f"can't open the store {path}: {describe_failure(error)}") from error
        except OSError as error:
            raise StoreError(f"can't open the store {path}: {error.strerror}") from error
        opened.pop_all()
    return DatabaseStore(databases[0], databases[1:], settings.queue, loop, serving, settings.actor)


def migrate_sqlite(settings: Settings, contract: bool) -> list[str]:
    """Bring the file to this version's schema; the steps applied. Raises StoreInUse where a gateway has it."""
    path = path_of(settings.url)
    with contextlib.ExitStack() as opened:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            opened.callback(ServingLock(path).release)
            return migrate(connect(path, BUSY_TIMEOUT, WRITER_PRAGMAS, opened, "IMMEDIATE"), contract)
        except (PeeweeException, sqlite3.Error) as error:
            raise StoreError(f"can't open the store {path}: {describe_failure(error)}") from error
        except OSError as error:
            raise StoreError(f"can't open the store {path}: {error.strerror}") from error


def path_of(url: str) -> Path:
    """`sqlite:///relative.db` is relative to the working directory, `sqlite:////absolute.db` is not."""
    prefix, slashes, path = url.partition(":///")
    if prefix != "sqlite" or not slashes or not path or path.endswith("/"):
        raise GatewayError("store.url: expected sqlite:///path/of/a/file.db (four slashes for an absolute path)")
    if path.startswith(":memory:"):
        raise GatewayError("store.url: a store in memory keeps nothing; expected sqlite:///path/of/a/file.db")
    return Path(path)


class Persistent(SqliteDatabase):
    """Asks every millisecond whether another process's transaction is over. SQLite's own waits grow to 100 ms, and one
    that writes again and again, as a replay does, would be met again and again."""

    def __init__(self, *args: Any, patience: float, now: Callable[[], float], **options: Any) -> None:
        super().__init__(*args, **options)
        self._patience = patience
        self._now = now

    def begin(self, lock_type: str | None = None) -> None:
        """Begin a transaction. Raises OperationalError where others were at it all the time."""
        deadline = self._now() + self._patience
        while True:
            try:
                super().begin(lock_type)
                return
            except OperationalError as error:
                code = getattr(original(error), "sqlite_errorcode", 0)
                if code & 0xFF != sqlite3.SQLITE_BUSY or self._now() >= deadline:
                    raise


def connect(
    path: Path,
    timeout: float,
    pragmas: dict[str, Any],
    opened: contextlib.ExitStack,
    lock: str | None = None,
    now: Callable[[], float] = time.monotonic,
) -> SqliteDatabase:
    """A connection of its own, for one thread at a time.

    The writer's `lock` is IMMEDIATE: other processes may write too, and to meet one in the middle of a transaction
    is an error at once, where to meet it at the beginning is a wait.
    """
    db = Persistent(
        str(path),
        patience=timeout,
        now=now,
        pragmas=pragmas,
        timeout=timeout,
        lock_type=lock,
        thread_safe=False,
        check_same_thread=False,
    )
    db.connect()
    opened.callback(db.close)
    return db


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait for others that open a store here: to switch a new file to WAL, SQLite does not wait but fails."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def serve_alone(path: Path, opened: contextlib.ExitStack) -> Serving:
    """The lock, and the check where it is due."""
    lock = ServingLock(path)
    opened.callback(lock.release)
    check = IntegrityCheck(path) if lock.unclean and path.exists() else None
    if check:
        opened.callback(check.cancel)
    return Serving(lock, check)
