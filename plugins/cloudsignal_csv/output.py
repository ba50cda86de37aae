"""The route's files: where the next rows go, and how a file is finished. Everything here blocks and raises OSError."""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cloudsignal_csv.file import OpenFile, set_aside, sync_directory
from cloudsignal_csv.names import Names


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the files are written: the open one's number, the day of its first row ("" before), its size in bytes, a
    digest of what stands just before that, and one of the format it is written in."""

    number: int
    day: str
    size: int
    tail: str
    format: str


class Output:
    """The files of a route, of which one is open. A mark that was committed says which rows are whose; a file is only
    finished with nothing in it but what is committed, and never changed again."""

    def __init__(self, names: Names, header: bytes, format: str, log: Any) -> None:
        self.names = names
        self._header = header
        self._format = format
        self._log = log
        self._file: OpenFile | None = None

    def find(self, mark: Mark | None) -> Mark | None:
        """As `prepare`, before there are rows: what stands there though nothing was ever committed is left to them."""
        if mark is not None:
            return self.prepare(mark)
        number = self.names.next_number(0) if self.names.rotation else 1
        file = self._opened(self.names.open(number))
        return self._begin(number, b"") if file.is_beginning_of(self._header) else None

    def prepare(self, mark: Mark | None, rows: bytes = b"") -> Mark:
        """Open the file that goes on after `mark`, cut what was written since, and return where the next `rows` go.

        A file that does not hold what `mark` says is not continued: it was moved away, shortened or edited. A new
        one is begun; what is in the way is renamed, never lost, unless it is all in `rows` that come again.
        """
        if mark is not None and self._reopen(mark):
            if mark.format == self._format:
                return mark
            if self.names.rotation:
                return self.roll(mark)
        if self.names.rotation:
            return self._begin_next(mark, rows)
        return self._begin(1, rows, moved=mark is not None)

    def append(self, rows: bytes, mark: Mark, day: str) -> Mark:
        """Write rows at a mark that `prepare` or `roll` gave, and see them on the disk; the mark after them."""
        if self._file is None:
            raise ValueError("append comes after prepare")
        self._file.write(mark.size, rows)
        size = mark.size + len(rows)
        return replace(mark, day=mark.day or day, size=size, tail=self._file.tail(size))

    def is_due(self, mark: Mark, day: str, more: int = 0) -> bool:
        """Whether the file is to be finished before it gets `more` bytes on that day."""
        rotation = self.names.rotation
        over = rotation.size is not None and mark.size + more > rotation.size
        return bool(mark.day) and (over or (rotation.daily and mark.day != day))

    def roll(self, mark: Mark) -> Mark:
        """Finish the file, all of which is committed, and begin the next. `prepare` gave `mark`."""
        path = self.names.open(mark.number)
        if not mark.day:
            path.unlink()
        elif self.names.gzip:
            self._pack(mark.number)
            self._publish(self.names.packed(mark.number), mark)
        else:
            self._publish(path, mark)
        return self._begin_next(mark)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- the open file

    def _opened(self, path: Path) -> OpenFile:
        """The file at the path; not one that was opened there and has been moved since."""
        file = self._file
        if file is None or file.closed or file.path != path or not file.is_in_place():
            self.close()
            file = self._file = OpenFile(path, self._log)
        return file

    def _reopen(self, mark: Mark) -> bool:
        """Whether the file is as `mark` says; it is cut there."""
        path = self.names.open(mark.number)
        if not path.exists():
            return False
        file = self._opened(path)
        same = mark.format != self._format or file.begins_with(self._header)
        if not same or not file.holds(mark.size, mark.tail):
            return False
        file.cut(mark.size)
        return True

    def _begin_next(self, mark: Mark | None, rows: bytes = b"") -> Mark:
        """Go on with another number, once what `mark` speaks of is finished or out of the way."""
        last = mark.number if mark else 0
        if mark is not None:
            path, packed = self.names.open(last), self.names.packed(last)
            if path.exists():
                set_aside(path, self._log)
                packed.unlink(missing_ok=True)
            elif packed.exists():
                self._publish(packed, mark)
        number = self.names.next_number(last)
        if mark is not None and number == last + 1:
            # What an earlier run wrote there was never committed: the mark would be another.
            self._opened(self.names.open(number)).cut(0)
        return self._begin(number, rows)

    def _begin(self, number: int, rows: bytes, moved: bool = False) -> Mark:
        path = self.names.open(number)
        file = self._opened(path)
        if not file.is_beginning_of(self._header + rows):
            set_aside(path, self._log)
            file = self._opened(path)
        file.cut(0)
        if moved:
            self._log.warning("csv.file_begun", path=str(path))
        file.write(0, self._header)
        size = len(self._header)
        return Mark(number, "", size, file.tail(size), self._format)

    # -- finished files

    def _pack(self, number: int) -> None:
        """Put a compressed file in the open one's place: wholly on the disk before the other goes."""
        path, packed = self.names.open(number), self.names.packed(number)
        with path.open("rb") as rows, packed.open("wb") as file:
            # Neither name nor time in it: the same rows give the same bytes.
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as squeezed:
                shutil.copyfileobj(rows, squeezed, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.parent)
        path.unlink()

    def _publish(self, path: Path, mark: Mark) -> None:
        """Give a whole file its finished name: there at once, or not at all."""
        number, packed = mark.number, path == self.names.packed(mark.number)
        while (finished := self.names.finished(number, mark.day, packed)).exists():
            number += 1
        path.rename(finished)
        sync_directory(path.parent)
        self._log.info("csv.file_finished", path=str(finished))
