"""The files of a store: the database, and beside it SQLite's -wal and -shm and the lock of the serving process.

SQLite itself resolves symbolic links, so these files are beside the real database, whatever name was given.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
from pathlib import Path

import structlog

from gateway.errors import StoreCorrupt

log = structlog.get_logger()

FILE_MODE = 0o640
FOLDER_MODE = 0o750
"""Most that others may do with the store. SQLite gives -wal and -shm the mode of the database."""
COMPANIONS = ("-wal", "-shm")
SHARED_BYTES = (0x4000_0002, 510)
"""Start and length of the bytes on which SQLite locks a database; see https://sqlite.org/src/file/src/os.h."""
FLOCK = "hhqqi0q"
"""Layout of the C type `struct flock` for 64-bit offsets."""


def resolve(path: Path) -> Path:
    """Return the real path of a database, which may not exist yet. Raises OSError for a loop of links."""
    real = Path(os.path.realpath(path))
    if real.is_symlink():
        raise OSError(0, "too many levels of symbolic links")
    return real


def make_folder(path: Path) -> None:
    """Make the folder of a database, and its parents, closed to strangers."""
    missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        folder.chmod(folder.stat().st_mode & FOLDER_MODE)


def make_private(path: Path) -> None:
    """Make an empty database if there is none, and close the store's files to strangers.

    A mode that can't be changed, because another user owns the file, is logged as a warning.
    """
    real = resolve(path)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(real, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    for name in (real, *(Path(f"{real}{suffix}") for suffix in COMPANIONS)):
        with contextlib.suppress(FileNotFoundError):
            close_to_strangers(name)


def hold_shared(handle: int) -> None:
    """Keep SQLite from copying the log into a database at its end, and from removing the log, until the handle closes.

    SQLite does both only with an exclusive lock of the database, which this shared lock of another owner prevents.
    """
    if sys.platform == "linux":
        lock = struct.pack(FLOCK, fcntl.F_RDLCK, os.SEEK_SET, *SHARED_BYTES, 0)
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, lock)


def refuse_remains(path: Path, marked: bool = False) -> None:
    """Raise StoreCorrupt if signals may be lost by opening a store: SQLite removes a log that is without its database.

    `marked` tells that the last run on an existing file did not end in order.
    """
    real = resolve(path)
    log_file = Path(f"{real}-wal")
    if real.exists() and real.stat().st_size:
        return
    if log_file.exists() and log_file.stat().st_size:
        raise StoreCorrupt(
            f"can't open the store {path}: it is gone, but {log_file} is there, and has signals. Put the database back "
            "beside it, or move it away to begin a new store"
        )
    if marked and real.exists():
        raise StoreCorrupt(f"can't open the store {path}: it was emptied. Put a backup in its place, or remove it")


def close_to_strangers(path: Path) -> None:
    """Take away the rights on a file that FILE_MODE does not give."""
    mode = path.stat().st_mode & 0o777
    if path.is_file() and mode & ~FILE_MODE & 0o077:
        try:
            path.chmod(mode & FILE_MODE)
        except PermissionError:
            log.warning("store.file_open_to_others", file=str(path.absolute()), mode=f"{mode:04o}")
