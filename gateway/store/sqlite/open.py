"""Opens a store in an SQLite file, and keeps other processes from serving from it."""

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

import structlog
from peewee import OperationalError, PeeweeException, SqliteDatabase

from gateway.errors import GatewayError, StoreError, StoreMissing, StoreUnreachable
from gateway.store.contract import Settings, Store
from gateway.store.failures import blames_environment, describe_failure, original, passes_by_itself
from gateway.store.migrations import migrate, open_schema
from gateway.store.sqlite.checkpoint import refuse_copy, refuse_wrong_log
from gateway.store.sqlite.dialect import SqliteDialect
from gateway.store.sqlite.files import make_folder, make_private, refuse_remains, resolve
from gateway.store.sqlite.integrity import IntegrityCheck, damaged, is_corrupt
from gateway.store.sqlite.lock import Serving, ServingLock, is_served
from gateway.store.sqlite.watch import read_mark
from gateway.store.statements import execute
from gateway.store.store import DatabaseStore
from gateway.store.values import Actor

log = structlog.get_logger()

SMALLEST = 256 << 10
"""Bytes that a new store needs with its companions."""
READERS = 3
"""Connections: one for claimed deliveries, two for everything else."""
BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes, such as a command."""

WRITER_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",  # in WAL mode "normal" may lose commits when the power fails
    "busy_timeout": 1,  # milliseconds; see WaitingDatabase
    "journal_size_limit": 8 << 20,  # bytes; else a log that grew behind a long reader keeps its size
    "temp_store": "memory",  # temporary pages of each batch; as files they are a tenth of its cost
}
READER_PRAGMAS = {"query_only": 1}
OPEN_FILES = "SELECT count(*) FROM sqlite_master"
"""Run on each reader at once. SQLite opens the -wal by its name at the first read, and another may be there by then."""


def open_sqlite(settings: Settings, loop: asyncio.AbstractEventLoop, exclusive: bool, create: bool = True) -> Store:
    """Open the store in the file that `settings.url` names; see `open_store`."""
    path = path_of(settings.url)
    timeout = float(settings.options.get("busy_timeout", BUSY_TIMEOUT))
    with contextlib.ExitStack() as opened:
        try:
            existed = require_file(path, create)
            serving = lock_for_serving(path, opened) if exclusive else None
            with lock_folder(resolve(path).parent):
                databases = [connect_writer(path, timeout, opened, serving.database if serving else None)]
                open_schema(databases[0], create)
            databases += [connect(path, timeout, READER_PRAGMAS, opened) for _ in range(READERS)]
            for reader in databases[1:]:
                execute(reader, OPEN_FILES)
            dialect = SqliteDialect(*(serving.begin(path, databases[0]) if serving else ()))
        except (PeeweeException, sqlite3.Error) as error:
            if is_corrupt(error):
                raise damaged(path, describe_failure(error)) from error
            raise open_error(path, describe_failure(error), error) from error
        except OSError as error:
            raise open_error(path, error.strerror or type(error).__name__, error) from error
        opened.pop_all()
    if not existed:
        log.info("store.created", store=str(path.absolute()))
    return DatabaseStore(
        databases[0], databases[1:], dialect, settings.queue, loop, Actor(settings.actor, settings.origin), serving
    )


def open_error(path: Path, reason: str, error: BaseException) -> StoreError:
    """Return the error for a store that can't be opened. SQLite tells of a full disk in several ways."""
    full = passes_by_itself(error) or (blames_environment(error) and is_full(path.parent))
    kind = StoreUnreachable if full else StoreError
    return kind(f"can't open the store {path}: {reason}{' (the disk is full)' if full else ''}")


def is_full(folder: Path) -> bool:
    """Return True if the disk of a folder has no room for the smallest store."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < SMALLEST


def require_file(path: Path, create: bool) -> bool:
    """Return True if a store's file exists; else make its folder, or raise StoreMissing if it is not to be created."""
    if path.exists() and path.stat().st_size:
        return True
    if not create and not Path(f"{resolve(path)}-wal").exists():  # see refuse_remains for a log without its database
        raise StoreMissing(
            f"there is no store at {path.absolute()}: `cloudsignal serve` makes it. A relative path in store.url is "
            "looked up in the working directory"
        )
    make_folder(path)
    return False


def migrate_sqlite(settings: Settings, contract: bool) -> list[str]:
    """Bring the file to this version's schema, and return the migrations applied.

    Raises StoreInUse if a gateway serves from the file.
    """
    path = path_of(settings.url)
    with contextlib.ExitStack() as opened:
        try:
            make_folder(path)
            lock = ServingLock(path)
            opened.callback(lock.release)
            return migrate(connect_writer(path, BUSY_TIMEOUT, opened, lock.database), contract)
        except (PeeweeException, sqlite3.Error) as error:
            raise StoreError(f"can't open the store {path}: {describe_failure(error)}") from error
        except OSError as error:
            raise StoreError(f"can't open the store {path}: {error.strerror}") from error


def path_of(url: str) -> Path:
    """Return the path of a URL: `sqlite:///relative.db` (to the working directory) or `sqlite:////absolute.db`.

    A `~` at its beginning is the home folder.
    """
    prefix, slashes, path = url.partition(":///")
    if prefix != "sqlite" or not slashes or not path or path.endswith("/"):
        raise GatewayError("store.url: expected sqlite:///path/of/a/file.db (four slashes for an absolute path)")
    if path.startswith(":memory:"):
        raise GatewayError("store.url: a store in memory is lost at the end; expected sqlite:///path/of/a/file.db")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise GatewayError("store.url: there is no home folder for ~ in the path") from None


class WaitingDatabase(SqliteDatabase):
    """Waits for another process's transaction by trying every millisecond.

    SQLite's own waits grow to 100 ms: a process that writes again and again, such as a replay, would be met each time.
    """

    def __init__(self, *args: Any, patience: float, now: Callable[[], float], **options: Any) -> None:
        super().__init__(*args, **options)
        self._patience = patience
        self._now = now

    def begin(self, lock_type: str | None = None) -> None:
        """Begin a transaction. Raises OperationalError if others wrote all the time."""
        deadline = self._now() + self._patience
        while True:
            try:
                super().begin(lock_type)
                return
            except OperationalError as error:
                code = getattr(original(error), "sqlite_errorcode", 0)
                if code & 0xFF != sqlite3.SQLITE_BUSY or self._now() >= deadline:
                    raise


def connect_writer(
    path: Path, timeout: float, opened: contextlib.ExitStack, database: int | None = None
) -> SqliteDatabase:
    """Open the connection that writes, and make the database if there is none.

    `database` is the serving process's handle of it. Without one, another process may serve: it alone makes the
    checkpoints then. Raises StoreCorrupt for a copy that is not whole.
    """
    if database is None:
        if is_served(path):
            return connect(path, timeout, {**WRITER_PRAGMAS, "wal_autocheckpoint": 0}, opened, "IMMEDIATE")
        refuse_remains(path)
        make_private(path)
    mark = read_own_mark(path, database)
    db = connect(path, timeout, WRITER_PRAGMAS, opened, "IMMEDIATE")
    refuse_wrong_log(path, mark, db)
    return db


def read_own_mark(path: Path, database: int | None) -> int:
    """Return the database's mark. Raises StoreCorrupt if it says that the database is a copy without its log.

    Quirk of POSIX: closing a handle drops SQLite's locks on the file, of all connections of the process. So the serving
    process, whose check of the database has begun, uses its own handle.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if database is None else database
    try:
        refuse_copy(path, handle)
        return read_mark(handle)
    finally:
        if database is None:
            os.close(handle)


def connect(
    path: Path,
    timeout: float,
    pragmas: dict[str, Any],
    opened: contextlib.ExitStack,
    lock: str | None = None,
    now: Callable[[], float] = time.monotonic,
) -> SqliteDatabase:
    """Open a connection, for one thread at a time.

    The writer's `lock` is IMMEDIATE. Other processes may write too: a conflict at the beginning of a transaction is a
    wait, but in the middle it is an error at once.
    """
    db = WaitingDatabase(
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
def lock_folder(folder: Path) -> Iterator[None]:
    """Wait for other processes that open a store here. SQLite fails when two switch a new file to WAL."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def lock_for_serving(path: Path, opened: contextlib.ExitStack) -> Serving:
    """Take the lock of the serving process, and start the check if the last run did not end in order."""
    lock = ServingLock(path)
    opened.callback(lock.release)
    check = IntegrityCheck(path) if lock.unclean else None
    if check:
        opened.callback(check.cancel)
    return Serving(lock, check)
