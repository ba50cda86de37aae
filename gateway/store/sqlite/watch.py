"""Finds out that a store's file was removed, moved, replaced or cut while it is served.

SQLite goes on in such a file, and everything would be answered 200 and lost. So the files' identities are compared
before and after each transaction, before its callers are answered, and each second without traffic.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import structlog

from gateway.errors import StoreLost
from gateway.store.sqlite.files import hold_shared, resolve

log = structlog.get_logger()

WAL_HEADER, FRAME_HEADER = 32, 24

Identity = tuple[int, int]
"""Device and inode."""


class FileWatch:
    """Compares the files of an open store with those at its names.

    `path` is the name as given, so that a link that points elsewhere by now counts as a replaced file. `database` is an
    open handle of the database, which the caller closes. Threads: the writer's and a timer's call `check`.
    """

    def __init__(self, path: Path, database: int) -> None:
        self._path = str(path.absolute())
        self._real = str(resolve(path))
        self.database = database
        # Kept open: closing it would drop SQLite's locks on it, which POSIX gives to the whole process.
        self._shm = os.open(f"{self._real}-shm", os.O_RDONLY | os.O_CLOEXEC)
        found = {name: os.stat(name) for name in self._names()}
        self._known = {name: identity(each) for name, each in found.items()}
        self._sizes = {name: each.st_size for name, each in found.items()}
        self._numbers: set[int] | None = None
        self._cut = False
        self._saved = False
        self._trouble = ""
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise StoreLost, which names the file, if one is not in its place. Changes are logged once."""
        with self._lock:
            found = self._find_trouble()
            changed, self._trouble = found != self._trouble, found
            self._saved = self._saved and bool(found)
            if changed and found:
                log.error("store.file_lost", store=self._path, reason=found)
            elif changed:
                log.info("store.file_back", store=self._path)
        if found:
            raise StoreLost(f"{found}; put it back, or stop the gateway and see to the store")

    @property
    def sound(self) -> bool:
        """Return True if the last look found each file in its place."""
        return not self._trouble

    def may_save_log(self) -> bool:
        """Return True if only the log's name is lost: what SQLite has written to it can go into the database."""
        return not self.sound and not self._cut and not self._saved and not self._is_replaced(self._path)

    def log_saved(self) -> None:
        """Note that the database has all that was committed."""
        self._saved = True
        log.warning("store.log_saved", store=self._path)

    def end(self) -> None:
        """Close the handle, after SQLite's connections."""
        os.close(self._shm)

    def protect_files(self, unfinished: bool) -> None:
        """Keep SQLite's end from changing the files if that does harm.

        SQLite removes the -wal by name, and it may belong to another gateway's store by then. A cut log or database
        must stay as it is, for a rescue. An `unfinished` checkpoint needs the log at the next start.
        """
        if unfinished or self._cut or self._is_replaced(self._path):
            hold_shared(self.database)

    def expect(self, numbers: set[int]) -> None:
        """Expect a mark with one of these numbers in the database; see gateway.store.sqlite.checkpoint."""
        with self._lock:
            self._numbers = numbers

    def count_frames(self) -> int:
        """Return the number of pages in the log."""
        return log_frames(os.pread(self._shm, 48, 0))

    def _names(self) -> tuple[str, str, str]:
        return (self._path, f"{self._real}-wal", f"{self._real}-shm")

    def _find_trouble(self) -> str:
        for name in self._names():
            try:
                found = os.stat(name)
            except FileNotFoundError:
                return f"the store's file {name} was removed or moved"
            except OSError as error:
                return f"the store's file {name} can't be reached: {error.strerror}"
            if identity(found) != self._known[name]:
                return f"the store's file {name} was replaced by another one"
            # Only files that shrank are looked into: while another process copies the log into the database, the
            # database's header may be ahead of its size.
            if found.st_size < self._sizes[name] and found.st_size < self._needed(name):
                self._cut = True
                return f"the store's file {name} was cut"
            self._sizes[name] = found.st_size
        self._cut = False
        if self._numbers is not None and read_mark(self.database) >> 1 not in self._numbers:
            return f"the store's file {self._path} was overwritten by another one"
        return ""

    def _is_replaced(self, name: str) -> bool:
        try:
            return identity(os.stat(name)) != self._known[name]
        except OSError:
            return True

    def _needed(self, name: str) -> int:
        """Return the least size in bytes that a whole file has."""
        if name == self._path:
            return database_size(os.pread(self.database, 100, 0))
        return log_size(os.pread(self._shm, 48, 0)) if name.endswith("-wal") else 0


def identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def database_size(header: bytes) -> int:
    """Return a database's size in bytes by its header, see https://sqlite.org/fileformat.html#the_database_header."""
    if len(header) < 100:
        return 100
    page, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
    return pages * page_size(page)


def log_size(index: bytes) -> int:
    """Return the log's least size in bytes by its index, see https://sqlite.org/walformat.html#the_wal_index_header."""
    page = int.from_bytes(index[14:16], sys.byteorder)
    frames = log_frames(index)
    return WAL_HEADER + frames * (FRAME_HEADER + page_size(page)) if frames else 0


def log_frames(index: bytes) -> int:
    """Return the number of pages in the log by its index."""
    return int.from_bytes(index[16:20], sys.byteorder)


def read_mark(database: int) -> int:
    """Return the header's user_version of an open database, 0 if it has no header."""
    header = os.pread(database, 64, 0)
    return int.from_bytes(header[60:], "big") if header.startswith(b"SQLite format 3\0") else 0


def page_size(stored: int) -> int:
    """Return the size of a page: 65,536 does not fit the field, and is stored as 1."""
    return 65_536 if stored == 1 else stored
