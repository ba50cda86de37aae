"""Sorts and describes the errors of both databases' drivers."""

from __future__ import annotations

import errno
import re
import sqlite3

from peewee import InterfaceError, OperationalError

from gateway.errors import StoreError, StoreLost

SQLITE_ENVIRONMENT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
"""SQLite's error codes for failures that no row causes. Writing the batch again in halves would fail each time."""
POSTGRES_ENVIRONMENT = frozenset({"08", "25", "53", "55", "57", "58", "XX"})
"""PostgreSQL's error classes for such failures: connection, read-only server, resources, object in use, operator,
system, internal error."""
NO_CONNECTION = (OperationalError, InterfaceError)
"""Errors without a code, raised for a connection that broke or was never made."""

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
WAITED_FOR = frozenset({"08", "53", "57"})
"""PostgreSQL's error classes that end without a change of the settings: connection, resources, operator."""
NEVER_ALONE = ("certificate", "SSL error", "support SSL", "password", "authentication", "GSSAPI", "invalid")
"""Words of libpq about settings that are wrong. Its errors have no code."""
QUOTED = re.compile(r"""'[^'\n]*'|"[^"\n]*["]""")
"""Names of hosts, users, databases and files in a message. Such a name may contain one of these words."""
NOT_YET = re.compile(
    "starting up|shutting down|recovery|too many|connection slots|not yet accepting|not accepting|"
    "cannot connect|connect failed|login failed|timeout"
)
"""A server's and pgbouncer's words for "later". Every other refusal (FATAL) is an error at once."""


def original(error: BaseException) -> BaseException:
    """Return the driver's error within peewee's."""
    driver: BaseException = getattr(error, "orig", None) or error
    return driver


def blames_environment(error: BaseException) -> bool:
    """Return True if the disk, the file, the server, the network or another process caused the failure."""
    driver = original(error)
    if isinstance(driver, StoreError):  # of our own: the store's file is not in its place
        return True
    if isinstance(driver, sqlite3.Error):
        return getattr(driver, "sqlite_errorcode", 0) & 0xFF in SQLITE_ENVIRONMENT
    code = getattr(driver, "sqlstate", None)
    return code[:2] in POSTGRES_ENVIRONMENT if code else isinstance(error, NO_CONNECTION)


def is_disk_full(error: BaseException) -> bool:
    """Return True if there is no room on the disk, of this computer or of the server."""
    driver = original(error)
    if isinstance(driver, sqlite3.Error):
        return getattr(driver, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    return getattr(driver, "errno", None) in DISK_FULL or getattr(driver, "sqlstate", None) == "53100"


def passes_by_itself(error: BaseException) -> bool:
    """Return True if a gateway that starts should wait: the server is not up yet, or the disk is full."""
    driver = original(error)
    if isinstance(driver, (sqlite3.Error, OSError)):
        return is_disk_full(driver)
    if code := getattr(driver, "sqlstate", None):
        return code[:2] in WAITED_FOR
    text = QUOTED.sub("", str(driver))
    return isinstance(error, NO_CONNECTION) and not (
        any(word in text for word in NEVER_ALONE)
        or any("FATAL" in line and not NOT_YET.search(line) for line in text.splitlines())
    )


def describe_failure(error: BaseException) -> str:
    """Return the driver's message if it can't contain values of rows, else the error's class only.

    Messages of SQLite name tables and columns, never values.
    """
    driver = original(error)
    if isinstance(driver, StoreError):
        return str(driver)
    if isinstance(driver, sqlite3.Error) or (isinstance(error, NO_CONNECTION) and not getattr(driver, "sqlstate", "")):
        return "; ".join(line.strip() for line in str(driver).splitlines())
    diagnosis = getattr(driver, "diag", None)
    # PostgreSQL's DETAIL contains values, and so do its messages about data (class 22).
    if diagnosis is None or not diagnosis.sqlstate or diagnosis.sqlstate.startswith("22"):
        return type(driver).__name__
    return f"{type(driver).__name__}: {diagnosis.message_primary}"


def write_error(reason: str, cause: BaseException) -> StoreError:
    """Return the error that the caller of a failed write gets."""
    kind = StoreLost if isinstance(original(cause), StoreLost) else StoreError
    error = kind(f"the store could not write: {reason}")
    error.__cause__ = cause
    return error
