"""Backs up and restores a store in a SQLite file. Each copy is checked: its pages, and the custody of its signals."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.operate.audit import Findings, audit_custody
from gateway.store import Settings, copies, find_postgres, is_sqlite, open_store, path_of

Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that was made. `kept` is the new name of the store that it replaced, if there was one."""

    file: Path
    size: int
    findings: Findings
    kept: Path | None = None


def back_up(config: Config, target: Path, force: bool, tell: Tell) -> Copied:
    """Write a checked copy of the config's store, beside a running gateway. `tell` gets the pages copied and in all.

    Raises GatewayError for a PostgreSQL, with the command to use.
    """
    if not is_sqlite(config.store):
        raise GatewayError(advise(config.store, "pg_dump --format=custom", f"--file={shlex.quote(str(target))}"))
    with copies.backup_of(path_of(config.store), target, force, tell) as part:
        findings = check_copy(part)
        copies.finish(part)
        size = part.stat().st_size
    return Copied(target, size, findings)


def restore(config: Config, backup: Path, tell: Tell) -> Copied:
    """Put a checked copy of a backup in the place of the config's store, which is kept under another name.

    Raises StoreInUse if a gateway serves, GatewayError for a PostgreSQL, with the command to use.
    """
    if not is_sqlite(config.store):
        command = "pg_restore --clean --if-exists --single-transaction"
        raise GatewayError(advise(config.store, command, shlex.quote(str(backup)), database="--dbname="))
    store = path_of(config.store)
    before = set(copies.replaced(store))
    with copies.restored_from(backup, store, tell) as part:
        findings = check_copy(part)
        copies.finish(part)
        size = part.stat().st_size
    kept = [name for name in copies.replaced(store) if name not in before]
    return Copied(store, size, findings, kept[0] if kept else None)


def advise(settings: Settings, command: str, file: str, database: str = "") -> str:
    """Return the message with the command of PostgreSQL, without the password."""
    place = find_postgres().command_line(settings, database)
    return f"a store in PostgreSQL is kept by its own tools:\n  {command} {place} {file}"


def check_copy(path: Path) -> Findings:
    """Audit a copy."""
    settings = Settings(f"sqlite:///{path.absolute()}")

    async def run() -> Findings:
        store = open_store(settings, create=False)
        try:
            pages = [findings async for findings in audit_custody(store, 0, asyncio.Event())]
            return pages[-1] if pages else Findings()
        finally:
            await store.close()

    return asyncio.run(run())
