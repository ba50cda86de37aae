"""The csv sink passes the conformance suite."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudsignal_csv import CsvSink
from gateway.testing import DoesNotApply, SinkContract, Target


class Directory(Target):
    """A directory for the csv sink. A file in its place makes it unusable."""

    def __init__(self, folder: Path) -> None:
        self.directory = folder / "exports"
        self.aside = folder / "aside"

    def options(self) -> Mapping[str, Any]:
        return {"directory": str(self.directory)}

    def effects(self) -> Sequence[Any]:
        directory = self.directory if self.directory.is_dir() else self.aside
        return [(path.name, path.read_bytes()) for path in sorted(directory.glob("*"))]

    async def healthy(self) -> None:
        if self.directory.is_file():
            self.directory.unlink()
            if self.aside.exists():
                self.aside.rename(self.directory)

    async def refusing_credentials(self) -> None:
        if self.directory.exists():
            self.directory.rename(self.aside)
        self.directory.write_bytes(b"")

    async def down(self) -> None:
        raise DoesNotApply("a directory that is not there is made")


class Daily(Directory):
    def options(self) -> Mapping[str, Any]:
        return {**super().options(), "rotate": ["daily", "1KB"], "gzip": True}

    def effects(self) -> Sequence[Any]:
        """Return all rows, in the order of the files."""
        directory = self.directory if self.directory.is_dir() else self.aside
        finished, opened = sorted(directory.glob("*.gz")), sorted(directory.glob("*.csv.part"))
        files = [gzip.decompress(path.read_bytes()) for path in finished] + [path.read_bytes() for path in opened]
        return [row for data in files for row in csv.reader(io.StringIO(data.decode()))][1:]


class TestCsv(SinkContract):
    sink = CsvSink

    def make_target(self, folder: Path) -> Target:
        return Directory(folder)


class TestCsvByTheDay(TestCsv):
    """The conformance suite with rotated files."""

    def make_target(self, folder: Path) -> Target:
        return Daily(folder)
