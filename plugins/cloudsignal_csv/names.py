"""What a route's files are called, and when one is finished."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is finished: with the day, before it is larger than `size` bytes, or neither (false)."""

    daily: bool = False
    size: int | None = None

    def __bool__(self) -> bool:
        return self.daily or self.size is not None


@dataclass(frozen=True, slots=True)
class Names:
    """The files of a route. Without rotation there is one, `filename`, for ever; else they are numbered.

    An open file's name ends with .part, so that who looks for finished ones never takes it for one. Its number is
    in its name: after a crash it tells whether the file that a mark speaks of was finished.
    """

    directory: str
    filename: str
    rotation: Rotation = Rotation()
    gzip: bool = False

    def open(self, number: int) -> Path:
        """The file that rows are appended to."""
        path = Path(self.directory, self.filename)
        return path.with_name(f"{path.stem}.{number:06}{path.suffix}.part") if self.rotation else path

    def packed(self, number: int) -> Path:
        """The same, compressed; on its way to its finished name."""
        path = Path(self.directory, self.filename)
        return path.with_name(f"{path.stem}.{number:06}{path.suffix}.gz.part")

    def finished(self, number: int, day: str, packed: bool) -> Path:
        """The whole file. Names sort as the files were begun, and numbers grow by one."""
        path = Path(self.directory, self.filename)
        return path.with_name(f"{path.stem}.{day}-{number:06}{path.suffix}{'.gz' if packed else ''}")

    def next_number(self, last: int) -> int:
        """The number after `last`, or after those of files that are there all the same. One that is open, maybe by
        another route, is met and not passed by."""
        path = Path(self.directory, self.filename)
        stem, suffix = re.escape(path.stem), re.escape(path.suffix)
        finished = re.compile(rf"{stem}\.\d{{4}}-\d\d-\d\d-(\d{{6,}}){suffix}(?:\.gz)?")
        opened = re.compile(rf"{stem}\.(\d{{6,}}){suffix}\.part")
        names = [entry.name for entry in path.parent.glob("*")]
        done = [int(match[1]) + 1 for name in names if (match := finished.fullmatch(name))]
        found = [int(match[1]) for name in names if (match := opened.fullmatch(name))]
        return max([last + 1, *done, *found])
