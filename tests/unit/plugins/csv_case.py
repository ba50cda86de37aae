"""A csv sink in a directory. `commit` and `crash` stand in for the store."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cloudsignal_csv import CsvSink
from gateway.sink import Context, State
from tests.support import factory


class Case:
    """A csv sink, made by `open`. `committed` is the state that a restart finds."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.directory = directory
        self.options = CsvSink.schema()({"directory": str(directory), **options})
        self.committed: dict[str, Any] = {}
        self.now = factory.AT.timestamp()
        self.asleep, self.go_on = asyncio.Event(), asyncio.Event()
        self.path = directory / options.get("filename", "bookshop.export.csv")
        self.sink = self.make()

    def make(self, route: str = "export") -> CsvSink:
        context = Context("bookshop", "acme", route, State(self.committed), now=lambda: self.now)
        sink = CsvSink(self.options, context)
        sink.sleep = self.sleep
        return sink

    async def sleep(self, seconds: float) -> None:
        """Sleep until `look`."""
        self.asleep.set()
        await self.go_on.wait()
        self.go_on.clear()

    async def look(self) -> None:
        """Let the sink check for the end of the day."""
        await self._until_asleep()
        self.asleep.clear()
        self.go_on.set()
        await self._until_asleep()

    async def _until_asleep(self) -> None:
        """Raise the error that ended the task, if there is one."""
        asleep, watch = asyncio.ensure_future(self.asleep.wait()), self.sink._watch
        assert watch
        await asyncio.wait({asleep, watch}, return_when=asyncio.FIRST_COMPLETED)
        if watch.done():
            asleep.cancel()
            watch.result()

    async def open(self) -> None:
        self.sink = self.make()
        await self.sink.open()

    async def write(self, *deliveries: Any) -> None:
        """Deliver a batch; its result is not committed yet."""
        assert await self.sink.deliver_batch(deliveries) is None

    def commit(self) -> None:
        changes = self.sink.state.take_changes()
        self.committed |= json.loads(json.dumps(changes))
        self.sink.state.confirm(changes)

    async def deliver(self, *deliveries: Any) -> None:
        await self.write(*deliveries)
        self.commit()

    async def restart(self) -> None:
        """Forget all uncommitted state, as SIGKILL does."""
        await self.sink.close()
        await self.open()

    def rows(self, name: str = "") -> list[dict[str, str]]:
        """Return the rows of the sink's file, or of another file in its directory."""
        data = (self.directory / name if name else self.path).read_bytes()
        text = (gzip.decompress(data) if name.endswith((".gz", ".gz.part")) else data).decode()
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=self.options["delimiter"]))

    def orders(self, name: str = "") -> list[str]:
        return [row["order"] for row in self.rows(name)]

    def files(self) -> dict[str, list[str]]:
        """Return the orders in each file, by the file's name."""
        return {path.name: self.orders(path.name) for path in sorted(self.directory.iterdir())}

    def others(self) -> list[str]:
        """Return the names of other files in the directory."""
        return sorted(path.name for path in self.directory.iterdir() if path != self.path)


def deliveries(*orders: str) -> Sequence[Any]:
    return [factory.make_delivery(order=order, route="export") for order in orders]
