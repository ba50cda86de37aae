"""A CSV sink in a directory, with the store's part played by `commit` and `crash`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import voluptuous as vol

from cloudsignal_csv import CsvSink
from gateway.sink import Context, State
from tests.support import factory


class Case:
    """`sink` is opened by `open`; `committed` is the state that a restart finds."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.directory = directory
        self.options = vol.Schema(dict(CsvSink.options))({"directory": str(directory), **options})
        self.committed: dict[str, Any] = {}
        self.path = directory / options.get("filename", "bookshop.export.csv")
        self.sink = self.make()

    def make(self, route: str = "export") -> CsvSink:
        context = Context(account="bookshop", tenant="acme", route=route, state=State(self.committed))
        return CsvSink(self.options, context)

    async def open(self) -> None:
        self.sink = self.make()
        await self.sink.open()

    async def write(self, *deliveries: Any) -> None:
        """Deliver a batch; its result is not committed yet."""
        assert await self.sink.deliver_batch(deliveries) is None

    def commit(self) -> None:
        self.committed |= self.sink.state.take_changes()

    async def deliver(self, *deliveries: Any) -> None:
        await self.write(*deliveries)
        self.commit()

    async def restart(self) -> None:
        """What was not committed is forgotten, as after SIGKILL."""
        await self.sink.close()
        await self.open()

    def rows(self) -> list[dict[str, str]]:
        with self.path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file, strict=True, delimiter=self.options["delimiter"]))

    def orders(self) -> list[str]:
        return [row["order"] for row in self.rows()]

    def others(self) -> list[str]:
        """Files beside the sink's."""
        return sorted(path.name for path in self.directory.iterdir() if path != self.path)


def deliveries(*orders: str) -> Sequence[Any]:
    return [factory.make_delivery(order=order, route="export") for order in orders]
