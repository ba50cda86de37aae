"""One open, locked file, with writes that are whole or undone. Everything here blocks and raises OSError."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
from pathlib import Path
from typing import Any

from gateway.sink import Misconfigured

BATCH_START = "user.cloudsignal.batch_start"
"""The file's extended attribute with the position of the last batch: all rows before it are recorded in the store."""
TAIL_BYTES = 256
"""Bytes before a position that are hashed to recognise the file: about one row, and cheap to read."""


class OpenFile:
    """A file with one writer, created if it is missing. Raises Misconfigured if another writer has locked it."""

    def __init__(self, path: Path, log: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._batch_start: int | None = None
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock(log)

    def _lock(self, log: Any) -> None:
        """Lock the file: of two writers, each would cut the other's rows."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise Misconfigured(
                "another route or gateway writes to this file: give each route its own directory or filename"
            ) from error
        except OSError as error:
            # Some network file systems have no locks.
            log.warning("csv.file_not_locked", path=str(self.path), reason=error.strerror)

    @property
    def closed(self) -> bool:
        return self._fd < 0

    def is_still_at_path(self) -> bool:
        """Return True if the path still leads to this file."""
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def begins_with(self, header: bytes) -> bool:
        """Return True if the file begins with these bytes."""
        return os.pread(self._fd, len(header), 0) == header

    def is_prefix_of(self, data: bytes) -> bool:
        """Return True if the file's whole content is a prefix of `data`."""
        return self.continues_with(0, data)

    def holds(self, size: int, tail: str) -> bool:
        """Return True if the file has `size` bytes, and the last of these have the digest `tail`."""
        return self.size() >= size and self.tail(size) == tail

    def note_batch(self, at: int) -> None:
        """Note that the rows before a position are recorded, and a batch may follow. It needs no sync of its own."""
        self._batch_start = at
        with contextlib.suppress(OSError):  # not all file systems have extended attributes
            os.setxattr(self._fd, BATCH_START, str(at).encode())

    def batch_start(self) -> int | None:
        """Return the position that was noted last, by any process. None if it is not known."""
        try:
            return int(os.getxattr(self._fd, BATCH_START))
        except (OSError, ValueError):
            return self._batch_start

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def continues_with(self, at: int, data: bytes) -> bool:
        """Return True if the bytes after a position are the beginning of `data`."""
        return data.startswith(os.pread(self._fd, len(data) + 1, at))

    def tail(self, size: int) -> str:
        """Return a digest of the bytes before a position."""
        start = max(0, size - TAIL_BYTES)
        return hashlib.blake2b(os.pread(self._fd, size - start, start), digest_size=8).hexdigest()

    def cut(self, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(self._fd, size)

    def write(self, at: int, data: bytes) -> None:
        """Write at a position and sync it to the disk. If that fails, the file is cut back and closed."""
        end = at + len(data)
        try:
            while at < end:
                at += os.pwrite(self._fd, data[at - end :], at)
            os.fsync(self._fd)
            if end == len(data):
                sync_directory(self.path.parent)
        except OSError:
            # Cut, so that no reader sees half a row. Closed, because after a failed fsync the kernel may take the dirty
            # pages for clean: only a newly opened file can be trusted.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, end - len(data))
            self.close()
            raise

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
            self._fd = -1


def rename_away(path: Path, reason: str, log: Any) -> None:
    """Rename a file that is in the way, to the first free `….1`, `….2`. Nothing is lost."""
    aside = next(free for n in itertools.count(1) if not (free := Path(f"{path}.{n}")).exists())
    path.rename(aside)
    log.warning("csv.file_set_aside", path=str(path), renamed=str(aside), reason=reason)


def sync_directory(path: Path) -> None:
    """Sync a directory: else a new file's name may be lost in a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
