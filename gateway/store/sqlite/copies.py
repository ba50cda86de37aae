"""Makes whole copies of a store in SQLite: a backup beside a running gateway, and a restored store from a backup.

A copy appears under its name once it is whole and on disk. It gets a mark of its own (see checkpoint), so that no log
of the original store is ever applied to it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from peewee import PeeweeException

from gateway.errors import GatewayError, StoreCorrupt, StoreError, StoreMissing
from gateway.store.failures import describe_failure
from gateway.store.sqlite.checkpoint import belongs, following, refuse_copy
from gateway.store.sqlite.files import COMPANIONS, FILE_MODE, make_folder, resolve
from gateway.store.sqlite.integrity import damaged
from gateway.store.sqlite.lock import ServingLock
from gateway.store.sqlite.open import BUSY_TIMEOUT, READER_PRAGMAS, connect, connect_writer
from gateway.store.sqlite.watch import read_mark

PAGES = 1000
"""Pages copied at a time, 4 MB: the progress is told after each."""

Tell = Callable[[int, int], None]
"""Called with the number of pages copied, and of all."""


@contextlib.contextmanager
def backup_of(store: Path, target: Path, force: bool, tell: Tell) -> Iterator[Path]:
    """Copy a store, beside a running gateway, into an unfinished file. It gets its name `target` when the context ends.

    Raises StoreMissing if there is no store, and GatewayError if the target is there already and not `force`. Raises
    StoreError if one of them can't be read or written.
    """
    require_target(store, target, force)
    with failing_as(f"can't write the backup {target}"), unfinished(target) as part:
        with contextlib.ExitStack() as opened:
            connect_writer(store, BUSY_TIMEOUT, opened)
            source = connect(store, BUSY_TIMEOUT, READER_PRAGMAS, opened)
            copy_pages(source.connection(), part, tell)  # type: ignore[no-untyped-call]
        yield part
        require_target(store, target, force)
        publish(part, target)


@contextlib.contextmanager
def restored_from(backup: Path, store: Path, tell: Tell) -> Iterator[Path]:
    """Copy a backup into an unfinished file, which becomes the store when the context ends.

    Raises StoreInUse if a gateway serves from the store, and StoreMissing if there is no backup. Raises StoreCorrupt if
    it is not whole, and StoreError if one of them can't be read or written.
    """
    if not backup.is_file():
        raise StoreMissing(f"there is no backup at {backup.absolute()}")
    with failing_as(f"can't restore {backup}"):
        make_folder(store)
        real = resolve(store)
        lock, whole = ServingLock(store, rescue=True), False
        try:
            with unfinished(real) as part:
                with contextlib.closing(open_backup(backup)) as source:
                    copy_pages(source, part, tell)
                yield part
                set_aside(real)
                publish(part, real)
                whole = True
        finally:
            lock.release(in_order=whole)


def require_target(store: Path, target: Path, force: bool) -> None:
    """Raise an error unless there is a store, and the backup may be written."""
    if not store.exists() or not store.stat().st_size:
        raise StoreMissing(f"there is no store at {store.absolute()}")
    if target.is_dir():
        raise GatewayError(f"{target} is a folder: name a file for the backup")
    if target.exists() and target.samefile(store):
        raise GatewayError(f"{target} is the store itself: name another file for the backup")
    if target.exists() and not force:
        raise GatewayError(f"{target} is there already: name another file, or use --force to replace it")


@contextlib.contextmanager
def failing_as(what: str) -> Iterator[None]:
    """Turn errors of files and of SQLite into a StoreError that begins with `what`."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what}: {error.strerror or type(error).__name__}") from error
    except (PeeweeException, sqlite3.Error) as error:
        raise StoreError(f"{what}: {describe_failure(error)}") from error


# -- files


@contextlib.contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """Give an empty file beside the target, which is removed unless it gets the target's name."""
    part = target.with_name(f".{target.name}.part")
    remove(part)
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    try:
        yield part
    finally:
        remove(part)


def remove(path: Path) -> None:
    for name in (path, *(Path(f"{path}{end}") for end in (*COMPANIONS, ".lock", "-journal"))):
        name.unlink(missing_ok=True)


def publish(part: Path, target: Path) -> None:
    """Write the file to disk, and give it its name."""
    sync(part)
    part.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Write a file or a folder to disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def set_aside(real: Path) -> None:
    """Rename a store with its log, which may have its last signals."""
    if not real.stat().st_size and not Path(f"{real}-wal").exists():
        return
    aside = next(name for n in itertools.count(1) if not (name := Path(f"{real}.replaced-{n}")).exists())
    for end in ("", *COMPANIONS):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{real}{end}").rename(f"{aside}{end}")


def replaced(store: Path) -> list[Path]:
    """Return the stores that restores have set aside."""
    real = resolve(store)
    return sorted(name for name in real.parent.glob(f"{real.name}.replaced-*") if not name.name.endswith(COMPANIONS))


# -- contents


def open_backup(backup: Path) -> sqlite3.Connection:
    """Open a backup without changing it, also on a disk that is read-only. Raises StoreCorrupt if it is not whole."""
    handle = os.open(backup, os.O_RDONLY | os.O_CLOEXEC)
    try:
        refuse_copy(backup, handle)
        mark = read_mark(handle)
    finally:
        os.close(handle)
    alone = not Path(f"{backup}-wal").exists()
    uri = f"file:{quote(str(resolve(backup)))}?mode=ro{'&immutable=1' if alone else ''}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None)
    [(seen,)] = db.execute("PRAGMA user_version").fetchall()
    if not belongs(mark, seen):
        db.close()
        raise StoreCorrupt(f"the backup {backup} and its -wal are not of one time")
    return db


def copy_pages(source: sqlite3.Connection, part: Path, tell: Tell) -> None:
    """Copy a database as it is now, and check it. Raises StoreCorrupt if the copy is damaged."""
    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copy:
        # Within a transaction: else SQLite would begin again each time the gateway commits.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchall()
        source.backup(copy, pages=PAGES, progress=lambda _, left, total: tell(total - left, total))
        source.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode = delete")
        copy.execute(f"PRAGMA user_version = {2 * following(0)}")
        problems = [text for (text,) in copy.execute("PRAGMA integrity_check(5)").fetchall() if text != "ok"]
    if problems:
        raise damaged(part, "; ".join(problems))


def finish(part: Path) -> None:
    """Make one file of the copy after it was opened as a store."""
    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = delete")
