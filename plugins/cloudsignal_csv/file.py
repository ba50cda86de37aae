"""One file held open and locked, and how bytes get into it whole. Everything here blocks and raises OSError."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
from pathlib import Path
from typing import Any

from gateway.sink import Misconfigured

TAIL = 256
"""Bytes before a position that tell the file from another one."""


class OpenFile:
    """A file of one writer; made if need be. Misconfigured where another holds it."""

    def __init__(self, path: Path, log: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock(log)

    def _lock(self, log: Any) -> None:
        """Two writers would each cut what the other has written."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise Misconfigured(
                "another route or gateway writes this file: give each route its own directory or filename"
            ) from error
        except OSError as error:
            # Some network file systems have no locks.
            log.warning("csv.file_not_locked", path=str(self.path), reason=error.strerror)

    @property
    def closed(self) -> bool:
        return self._fd < 0

    def is_in_place(self) -> bool:
        """Whether this is still what stands at the path."""
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def begins_with(self, header: bytes) -> bool:
        return os.pread(self._fd, len(header), 0) == header

    def is_beginning_of(self, data: bytes) -> bool:
        """Whether the file has nothing but what `data` begins with."""
        return data.startswith(os.pread(self._fd, len(data) + 1, 0))

    def holds(self, size: int, tail: str) -> bool:
        """Whether the first `size` bytes end as they were left."""
        return os.fstat(self._fd).st_size >= size and self.tail(size) == tail

    def tail(self, size: int) -> str:
        """A digest of what stands before a position."""
        start = max(0, size - TAIL)
        return hashlib.blake2b(os.pread(self._fd, size - start, start), digest_size=8).hexdigest()

    def cut(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def write(self, at: int, data: bytes) -> None:
        """Write at a position, and see it on the disk. The file is closed where that failed."""
        end = at + len(data)
        try:
            while at < end:
                at += os.pwrite(self._fd, data[at - end :], at)
            os.fsync(self._fd)
            if end == len(data):
                sync_directory(self.path.parent)
        except OSError:
            # So that whoever reads the file meanwhile sees no half row. After a failed fsync the kernel may think
            # the pages clean: only a file opened anew is trusted.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, end - len(data))
            self.close()
            raise

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
            self._fd = -1


def set_aside(path: Path, log: Any) -> None:
    """Rename what is in the way; nothing is lost."""
    aside = next(free for n in itertools.count(1) if not (free := Path(f"{path}.{n}")).exists())
    path.rename(aside)
    log.warning("csv.file_set_aside", path=str(path), renamed=str(aside))


def sync_directory(path: Path) -> None:
    """Without it, a new file's name may be gone after a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
