"""A gateway's folder, and its commands run in this process."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.store import Settings, Store, open_store

CONFIG = """\
store: {url: "sqlite:///gateway.db"}
plugins: [csv]
tenant: acme
accounts:
  bookshop:
    keys: [test-key-of-the-bookshop]
    unknown_orders: hold
    routes:
      export: {sink: csv, options: {directory: exports}}
      alerts: {sink: csv, signals: [ItemError], options: {directory: alerts}}
"""


class Folder:
    """A folder with a gateway.yaml, in which commands run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "gateway.yaml").write_text(CONFIG)

    def run(self, *words: str, code: int = 0, stdin: str | None = None) -> Result:
        """Run a command, which must end with this exit code."""
        result = CliRunner().invoke(main, list(words), input=stdin, env={"CLOUDSIGNAL_CONFIG": "gateway.yaml"})
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def fill(self, work: Callable[[Store], Awaitable[Any]]) -> Any:
        """Run `work` on the folder's store."""

        async def run() -> Any:
            store = open_store(Settings("sqlite:///gateway.db"))
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def rows(self, query: str) -> list[Any]:
        """Return the rows that a query finds in the folder's store."""
        with closing(sqlite3.connect(self.path / "gateway.db")) as db:
            return db.execute(query).fetchall()

    def change(self, statement: str) -> None:
        """Change the folder's store behind the gateway's back."""
        with closing(sqlite3.connect(self.path / "gateway.db")) as db, db:
            db.execute(statement)


def lines(output: str) -> list[dict[str, Any]]:
    """Return the objects that a command has printed as JSON, one a line."""
    return [json.loads(line) for line in output.splitlines()]
