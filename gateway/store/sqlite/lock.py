"""Locks the database for the serving process, by a file beside it, which also tells if the last run ended in order."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from peewee import Database

from gateway.errors import StoreInUse
from gateway.store.sqlite.checkpoint import Checkpoints
from gateway.store.sqlite.files import make_private, refuse_remains, resolve
from gateway.store.sqlite.integrity import IntegrityCheck
from gateway.store.sqlite.watch import FileWatch

TRIES, TRY_INTERVAL = 10, 0.01
"""Attempts to lock, and seconds between them. Race: a command that looks for a gateway has the lock for a moment."""


class ServingLock:
    """Locked from its creation on. `unclean` is True if the last owner of an existing database did not end in order.

    The file contains the owner's process id, and is empty after a run that ended in order. It is a file of its own, not
    a row: it can be written when the disk is full or the database is locked. The database file is locked too: a hard
    link or a bind mount gives it another name with other files beside it. Raises StoreInUse if another process has
    a lock, OSError if a file can't be written. `rescue` is for a restore: remains of a store are no error.
    """

    def __init__(self, path: Path, rescue: bool = False) -> None:
        real = resolve(path)
        with contextlib.ExitStack() as opened:
            self._handle = take_lock(Path(f"{real}.lock"), os.O_CREAT, path, opened)
            marked = os.fstat(self._handle).st_size > 0
            existed = real.exists()
            if not rescue:
                refuse_remains(path, marked)
            make_private(path)
            self.database = take_lock(real, 0, path, opened)
            opened.pop_all()
        self.unclean = existed and marked

    def mark(self) -> None:
        """Write to disk that a run has begun."""
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)
        os.fsync(self._handle)

    def release(self, in_order: bool = False) -> None:
        """Release the lock. The system does so too, however the process ends.

        `in_order` is for a run that left the database closed and sound. If this can't be written, the next run checks
        the database without need.
        """
        try:
            if in_order:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._handle, 0)
        finally:
            # Quirk of POSIX: closing the database here drops SQLite's locks on it, so this comes after SQLite's end.
            os.close(self.database)
            os.close(self._handle)


def take_lock(file: Path, flags: int, path: Path, opened: contextlib.ExitStack) -> int:
    """Open and lock a file. Raises StoreInUse if another process has the lock."""
    handle = os.open(file, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    opened.callback(os.close, handle)
    for _ in range(TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        time.sleep(TRY_INTERVAL)
    raise StoreInUse(f"another gateway is using {path}: stop it, or give this one a store of its own")


def serving_pid(path: Path) -> int | None:
    """Return the process id of the gateway that serves from a database; None if there is none."""
    with contextlib.suppress(FileNotFoundError), open(f"{resolve(path)}.lock", "rb") as file:
        # The lock is asked, not the number alone: a killed run leaves a number, which another process may have.
        return int(file.read() or 0) or None if is_locked(file.fileno()) else None
    return None


def is_served(path: Path) -> bool:
    """Return True if a gateway serves from a database, or starts or stops just now."""
    with contextlib.suppress(FileNotFoundError), open(f"{resolve(path)}.lock", "rb") as file:
        return is_locked(file.fileno())
    return False


def is_locked(handle: int) -> bool:
    """Return True if another process has locked a file."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(handle, fcntl.LOCK_UN)
    return False


class Serving:
    """The serving process's lock, the watch of its files, and the check if the last run did not end in order."""

    def __init__(self, lock: ServingLock, check: IntegrityCheck | None) -> None:
        self._lock = lock
        self._check = check
        self._watch: FileWatch | None = None

    @property
    def database(self) -> int:
        """Return the handle of the database, which stays open until the end."""
        return self._lock.database

    def begin(self, path: Path, writer: Database) -> tuple[FileWatch, Checkpoints]:
        """Mark the run as begun, after waiting a while for the check, and watch the files. Raises StoreCorrupt."""
        if self._check:
            self._check.wait()
        self._lock.mark()
        self._watch = FileWatch(path, self._lock.database)
        checkpoints = Checkpoints(self._watch)
        checkpoints.begin(writer)
        return self._watch, checkpoints

    async def verify(self) -> None:
        """Wait for the check. Raises StoreCorrupt."""
        if self._check:
            await self._check.verify()

    def end(self) -> None:
        """Release the lock after the store was closed.

        It was in order, unless the check found damage or has not ended, or a file is not in its place.
        """
        in_order = (self._check is None or self._check.sound) and (self._watch is None or self._watch.sound)
        if self._check:
            self._check.cancel()
        if self._watch:
            self._watch.end()
        self._lock.release(in_order)
