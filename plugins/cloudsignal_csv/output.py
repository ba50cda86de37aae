"""The file: where its next rows go, and how they get there whole. Everything here blocks."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.sink import Misconfigured

TAIL = 256
"""Bytes before a mark that tell the file from another one."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the file is written: its size in bytes, and a digest of what stands just before."""

    size: int
    tail: str


class Output:
    """One CSV file, held open and locked. Methods raise OSError, or Misconfigured where another holds the file."""

    def __init__(self, path: Path, header: bytes, log: Any) -> None:
        self.path = path
        self._header = header
        self._log = log
        self._fd: int | None = None

    def prepare(self, mark: Mark | None) -> Mark:
        """Open the file, cut what was written after `mark`, and return where rows go next.

        A file that does not hold what `mark` says is not continued: it was moved away, shortened, edited or
        written with another header. A new one is begun; what is in the way is renamed, never lost.
        """
        fd = self._opened()
        if mark is not None and self._holds(fd, mark):
            os.ftruncate(fd, mark.size)
            return mark
        if not self._is_blank(fd):
            self._set_aside()
            fd = self._opened()
        if mark is not None:
            self._log.warning("csv.file_begun", path=str(self.path))
        return self._write(fd, 0, self._header)

    def append(self, rows: bytes, mark: Mark) -> Mark:
        """Write rows at a mark that `prepare` gave, and see them on the disk; the mark after them."""
        if self._fd is None:
            raise ValueError("append comes after prepare")
        return self._write(self._fd, mark.size, rows)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    # -- the file

    def _opened(self) -> int:
        """The file at the path, made if need be; not one that was opened there and has been moved since."""
        if self._fd is not None and not self._is_in_place(self._fd):
            self.close()
        if self._fd is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._lock(self._fd)
        return self._fd

    def _is_in_place(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _lock(self, fd: int) -> None:
        """Two writers would each cut what the other has written."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise Misconfigured(
                "another route or gateway writes this file: give each route its own directory or filename"
            ) from error
        except OSError as error:
            # Some network file systems have no locks.
            self._log.warning("csv.file_not_locked", path=str(self.path), reason=error.strerror)

    def _holds(self, fd: int, mark: Mark) -> bool:
        if os.fstat(fd).st_size < mark.size or os.pread(fd, len(self._header), 0) != self._header:
            return False
        return self._tail(fd, mark.size) == mark.tail

    def _is_blank(self, fd: int) -> bool:
        """Empty, or with no more than a header that an earlier run began with."""
        return self._header.startswith(os.pread(fd, len(self._header) + 1, 0))

    def _set_aside(self) -> None:
        aside = next(path for n in itertools.count(1) if not (path := Path(f"{self.path}.{n}")).exists())
        self.path.rename(aside)
        self._log.warning("csv.file_set_aside", path=str(self.path), renamed=str(aside))

    def _write(self, fd: int, at: int, data: bytes) -> Mark:
        end = at + len(data)
        try:
            while at < end:
                at += os.pwrite(fd, data[at - end :], at)
            os.fsync(fd)
            if end == len(data):
                self._sync_directory()
            return Mark(end, self._tail(fd, end))
        except OSError:
            # So that whoever reads the file meanwhile sees no half row. After a failed fsync the kernel may think
            # the pages clean: only a file opened anew is trusted.
            with contextlib.suppress(OSError):
                os.ftruncate(fd, end - len(data))
            self.close()
            raise

    def _sync_directory(self) -> None:
        """Without it, a new file's name may be gone after a power cut."""
        fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _tail(self, fd: int, size: int) -> str:
        start = max(0, size - TAIL)
        return hashlib.blake2b(os.pread(fd, size - start, start), digest_size=8).hexdigest()
