"""The lock of the serving process, a file beside the database. It also tells whether the last run ended in order."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from gateway.errors import StoreInUse
from gateway.store.integrity import IntegrityCheck


class ServingLock:
    """Held from when it is made. `unclean`: who held it before did not come to release it in order.

    The file has the holder's process id, and nothing once a run has ended in order. It is a file of its own, and not a
    row, so that an order end can be told where the disk has no room or the database is locked. Raises StoreInUse where
    another process has it, OSError where the file can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise StoreInUse(f"another gateway is using {path}: stop it, or give this one a store of its own") from None
        self.unclean = os.fstat(self._handle).st_size > 0

    def mark(self) -> None:
        """Say, on disk, that a run has begun."""
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)
        os.fsync(self._handle)

    def release(self, in_order: bool = False) -> None:
        """Let go; the system does so too, however the process ends. `in_order` is for the end of a run that left the
        database closed and sound; where it can't be written down, the next run will check without need."""
        try:
            if in_order:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._handle, 0)
        finally:
            os.close(self._handle)


def holder_of(path: Path) -> int | None:
    """The process id of the gateway that serves from a database; None where none does."""
    try:
        handle = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # The lock and not the file's number alone, which a killed run leaves behind, and the system gives to another.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(handle, 32, 0) or 0) or None
    else:
        return None
    finally:
        os.close(handle)


class Serving:
    """What the process that serves holds of its store: the lock, and the check where the last run ended otherwise."""

    def __init__(self, lock: ServingLock, check: IntegrityCheck | None) -> None:
        self._lock = lock
        self._check = check

    def begin(self) -> None:
        """The store is open: wait a while for the check, then count as running. Raises StoreCorrupt."""
        if self._check:
            self._check.wait()
        self._lock.mark()

    async def verify(self) -> None:
        """Wait for the check. Raises StoreCorrupt."""
        if self._check:
            await self._check.verify()

    def end(self) -> None:
        """The store is closed. That is an end in order unless the check found damage, or has not ended."""
        in_order = self._check is None or self._check.sound
        if self._check:
            self._check.cancel()
        self._lock.release(in_order)
