"""The CSV sink, held to the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudsignal_csv import CsvSink
from gateway.testing import DoesNotApply, SinkContract, Target


class Directory(Target):
    """Trouble is a directory that can't be had: a file stands in its way."""

    def __init__(self, folder: Path) -> None:
        self.directory = folder / "exports"
        self.aside = folder / "aside"

    def options(self) -> Mapping[str, Any]:
        return {"directory": str(self.directory)}

    def seen(self) -> Sequence[Any]:
        directory = self.directory if self.directory.is_dir() else self.aside
        return [(path.name, path.read_bytes()) for path in sorted(directory.glob("*"))]

    async def healthy(self) -> None:
        if self.directory.is_file():
            self.directory.unlink()
            if self.aside.exists():
                self.aside.rename(self.directory)

    async def refusing(self) -> None:
        if self.directory.exists():
            self.directory.rename(self.aside)
        self.directory.write_bytes(b"")

    async def down(self) -> None:
        raise DoesNotApply("a directory that is not there is made")


class TestCsv(SinkContract):
    sink = CsvSink

    def make_target(self, folder: Path) -> Target:
        return Directory(folder)

    @pytest.mark.xfail(reason="rows that no committed mark covers are set aside, and so there twice")
    def test_it_acts_once_where_a_crash_forgot_the_result(self) -> None:
        super().test_it_acts_once_where_a_crash_forgot_the_result()

    @pytest.mark.xfail(reason="as above")
    def test_the_process_may_end_anywhere(self) -> None:
        super().test_the_process_may_end_anywhere()
