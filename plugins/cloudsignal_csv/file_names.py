"""The names of a route's files, and the time when a file is finished."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rotation:
    """The rule for finishing a file: at the day's end, before it exceeds `size` bytes, both, or neither (false)."""

    daily: bool = False
    size: int | None = None

    def __bool__(self) -> bool:
        return self.daily or self.size is not None


@dataclass(frozen=True, slots=True)
class FileNames:
    """The names of a route's files. Without rotation there is one file, `filename`; else they are numbered.

    An open file's name ends with .part, so that no program takes it for a finished one. It contains the number:
    after a crash, this shows if the file of the committed mark was finished.
    """

    directory: str
    filename: str
    rotation: Rotation = Rotation()
    gzip: bool = False

    def open_path(self, number: int) -> Path:
        """Return the path of the file that rows are appended to."""
        path = Path(self.directory, self.filename)
        return path.with_name(f"{path.stem}.{number:06}{path.suffix}.part") if self.rotation else path

    def compressed_path(self, number: int) -> Path:
        """Return the path of a compressed file before it gets its finished name."""
        path = Path(self.directory, self.filename)
        return path.with_name(f"{path.stem}.{number:06}{path.suffix}.gz.part")

    def finished_path(self, number: int, day: str, compressed: bool) -> Path:
        """Return the path of a finished file. Sorted names give the order in which the files were begun."""
        path = Path(self.directory, self.filename)
        return path.with_name(f"{path.stem}.{day}-{number:06}{path.suffix}{'.gz' if compressed else ''}")

    def next_number(self, last: int) -> int:
        """Return the number after `last`, or after the highest number of the files that are there.

        The number of an open file is returned and not skipped: it may be our own, or the lock shows that it is not.
        """
        path = Path(self.directory, self.filename)
        stem, suffix = re.escape(path.stem), re.escape(path.suffix)
        finished = re.compile(rf"{stem}\.\d{{4}}-\d\d-\d\d-(\d{{6,}}){suffix}(?:\.gz)?")
        opened = re.compile(rf"{stem}\.(\d{{6,}}){suffix}\.part")
        names = [entry.name for entry in path.parent.glob("*")]
        done = [int(match[1]) + 1 for name in names if (match := finished.fullmatch(name))]
        found = [int(match[1]) for name in names if (match := opened.fullmatch(name))]
        return max([last + 1, *done, *found])
