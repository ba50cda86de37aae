"""Copies the log (-wal) into the database, and marks the database so that a copy without its log is recognised.

A copy of the database alone has only the signals up to the last checkpoint, and looks whole. So while a gateway serves,
the database on disk always says "in use", and the end of its log says "whole". The mark is the header's user_version,
with a number that grows at each checkpoint:

1. A transaction writes "in use" with the next number into the log.
2. The checkpoint copies the log, and the mark in it, into the database.
3. A transaction writes "whole" with the number that the database has now: the first entry of the new log.

A stop copies the log and removes it, so the database says "whole"; so does a copy by SQLite's backup. A crash leaves
the log beside the database.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

import structlog
from peewee import Database, PeeweeException

from gateway.errors import StoreCorrupt, StoreError
from gateway.store.failures import describe_failure
from gateway.store.sqlite.files import hold_shared, resolve
from gateway.store.sqlite.watch import FileWatch, read_mark
from gateway.store.statements import execute

log = structlog.get_logger()

FRAMES = 1000
"""Pages in the log from which on it is copied, as SQLite does by itself: 4 MB. More would take longer at once."""
NUMBERS = 1 << 29
"""Numbers before they begin again: enough for a checkpoint every second for 17 years."""


class Checkpoints:
    """Checkpoints of the serving process. They run on the writer's thread, after the callers were answered."""

    def __init__(self, watch: FileWatch) -> None:
        self._watch = watch
        self._number = self._upcoming = 0
        self._frames = 0
        self._due_at = FRAMES
        self._unfinished = False
        self._failing = False

    @property
    def unfinished(self) -> bool:
        """Return True if the end of the log still says "in use"."""
        return self._unfinished

    def begin(self, db: Database) -> None:
        """Mark the database as in use."""
        self._number = read_mark(self._watch.database) >> 1
        self._run(db)
        execute(db, "PRAGMA wal_autocheckpoint = 0")

    def run_if_due(self, db: Database) -> None:
        """Copy the log if it is long, or if another process has copied it and the database's mark is another one."""
        frames = self._watch.count_frames()
        if frames < self._frames:  # the log began anew
            self._due_at = FRAMES
        self._frames = frames
        if frames >= self._due_at or self._unfinished or self._is_copied_by_others():
            self._run(db)

    def _run(self, db: Database) -> None:
        # A reader may keep the log from being copied: each try then costs two more transactions.
        self._due_at = self._frames + FRAMES
        try:
            self._watch.check()
            self._copy(db)
        except (PeeweeException, StoreError) as error:
            if not self._failing:
                log.warning("store.checkpoint_failed", reason=describe_failure(error))
            self._failing = True
        else:
            self._failing = False

    def _is_copied_by_others(self) -> bool:
        return read_mark(self._watch.database) != 2 * self._number + 1

    def _copy(self, db: Database) -> None:
        self._adopt_number()
        self._upcoming = following(self._number)
        self._watch.expect({self._number, self._upcoming})
        self._unfinished = True
        write_mark(db, 2 * self._upcoming + 1)
        execute(db, "PRAGMA wal_checkpoint(PASSIVE)")
        self._adopt_number()
        write_mark(db, 2 * self._number)
        self._unfinished = False

    def _adopt_number(self) -> None:
        """Take over the database's number. The log may be copied in part, or by another process."""
        if read_mark(self._watch.database) >> 1 == self._upcoming:
            self._number = self._upcoming


def following(number: int) -> int:
    """Return the next number. The first is random, so that two stores never have the same."""
    return number % (NUMBERS - 1) + 1 if number else secrets.randbelow(NUMBERS - 1) + 1


def write_mark(db: Database, mark: int) -> None:
    """Write the mark in a transaction of its own."""
    db.begin()
    try:
        execute(db, f"PRAGMA user_version = {mark}")
        db.commit()
    except PeeweeException:
        with contextlib.suppress(PeeweeException):
            db.rollback()
        raise


def read_visible(db: Database) -> int:
    """Return the mark as SQLite shows it: the log's last, or the database's if the log has none."""
    return int(execute(db, "PRAGMA user_version")[0][0])


# -- when a store is opened


def refuse_copy(path: Path, database: int) -> None:
    """Raise StoreCorrupt if a database was copied while it was in use, without its log. `database` is its handle."""
    for _ in range(2):  # race: a gateway that stops writes "whole", and then removes the log
        if not read_mark(database) & 1 or os.path.exists(f"{resolve(path)}-wal"):
            return
    raise StoreCorrupt(
        f"the store {path} is a copy of a store in use, made without its -wal: the last signals are missing. "
        "Copy it with `cloudsignal backup`; config/README.md tells how to open it all the same"
    )


def refuse_wrong_log(path: Path, raw: int, db: Database) -> None:
    """Raise StoreCorrupt if the log is of another store or time than the database, and leave both as they are.

    `raw` is the database's mark before SQLite opened it.
    """
    seen = read_visible(db)
    if belongs(raw, seen):
        if seen & 1:  # a crash in the middle of a checkpoint: whoever closes the store last removes the log
            write_mark(db, raw & ~1)
        return
    # Never closed: the check of the database may be the last to close its connection, and the process ends anyway.
    hold_shared(os.open(resolve(path), os.O_RDWR | os.O_CLOEXEC))
    raise StoreCorrupt(
        f"the store {path} and its -wal are not of one time: one of them was copied or restored alone. "
        "Copy a store with `cloudsignal backup`; move the -wal away if you have put a backup in place"
    )


def belongs(raw: int, seen: int) -> bool:
    """Return True if a database with the mark `raw` and a log that ends with the mark `seen` are of one time."""
    if not raw:
        return not seen or bool(seen & 1)
    return seen >> 1 == raw >> 1 or seen == 2 * following(raw >> 1) + 1
