"""The route's files: the place of the next rows, and the finishing of a file. Everything blocks and raises OSError."""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cloudsignal_csv.file_names import FileNames
from cloudsignal_csv.open_file import OpenFile, rename_away, sync_directory


@dataclass(frozen=True, slots=True)
class Mark:
    """The position after the last row: the open file's number, its first row's day ("" for none), its size in bytes.

    `tail` is a digest of the bytes before that position, `format` one of the file's format.
    """

    number: int
    day: str
    size: int
    tail: str
    format: str


AHEAD = "it has rows that the store does not know: the store is older than the file"
CHANGED = "it is not as the gateway left it"


class Output:
    """The files of a route, one of them open.

    The rows before a committed mark are final. Rows after it are cut if they are at most the one batch that a crash
    left. More rows show that the store is older than the file, and the file is set aside as a whole. A file is
    finished only if all of its rows are committed, and is never changed after that.
    """

    def __init__(self, names: FileNames, header: bytes, format: str, log: Any) -> None:
        self.names = names
        self._header = header
        self._format = format
        self._log = log
        self._file: OpenFile | None = None

    def find(self, mark: Mark | None) -> Mark | None:
        """Prepare without rows. A file with only uncommitted rows is left to the first batch."""
        if mark is not None:
            return self.prepare(mark)
        number = self.names.next_number(0) if self.names.rotation else 1
        file = self._open(self.names.open_path(number))
        return self._begin(number, b"") if file.is_prefix_of(self._header) else None

    def prepare(self, mark: Mark | None, rows: bytes = b"") -> Mark:
        """Open the file of `mark`, cut a batch after it, and return the mark for the next `rows`.

        A file that does not match `mark` was moved away, shortened or edited, and is not continued: a new one is begun.
        A file in the way is renamed, unless its whole content is in `rows`, which come again. Without `rows`, nothing
        is renamed that they may show to be a batch.
        """
        if mark is not None and self._reopen(mark):
            if not self._settle(mark, rows):
                if not rows and self._file and self._file.batch_start() is None:
                    return mark
                rename_away(self.names.open_path(mark.number), AHEAD, self._log)
            elif mark.format == self._format:
                return mark
            elif self.names.rotation:
                return self.rotate(mark)
        if self.names.rotation:
            return self._begin_next(mark, rows)
        return self._begin(1, rows, moved=mark is not None)

    def append(self, rows: bytes, mark: Mark, day: str) -> Mark:
        """Write rows at a mark of `prepare` or `rotate`, sync them to the disk, and return the mark after them."""
        if self._file is None:
            raise ValueError("append comes after prepare")
        self._file.note_batch(mark.size)
        self._file.write(mark.size, rows)
        size = mark.size + len(rows)
        return replace(mark, day=mark.day or day, size=size, tail=self._file.tail(size))

    def ends_at(self, mark: Mark) -> bool:
        """Return True if the open file has no rows after the mark."""
        return self._file is not None and self._file.size() == mark.size

    def note_recorded(self, mark: Mark) -> None:
        """Note in the open file that its rows before the mark are recorded in the store."""
        if self._file is not None and not self._file.closed and self._file.path == self.names.open_path(mark.number):
            self._file.note_batch(mark.size)

    def is_due(self, mark: Mark, day: str, more: int = 0) -> bool:
        """Return True if the file must be finished before it gets `more` bytes on that day."""
        rotation = self.names.rotation
        over = rotation.size is not None and mark.size + more > rotation.size
        return bool(mark.day) and (over or (rotation.daily and mark.day != day))

    def rotate(self, mark: Mark) -> Mark:
        """Finish the file and begin the next. `mark` is from `prepare`, and all rows are committed."""
        path = self.names.open_path(mark.number)
        if not mark.day:
            path.unlink()
        elif self.names.gzip:
            self._compress(mark.number)
            self._publish(self.names.compressed_path(mark.number), mark)
        else:
            self._publish(path, mark)
        return self._begin_next(mark)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- the open file

    def _open(self, path: Path) -> OpenFile:
        """Return the open file at the path. A file that was moved away since is closed and opened anew."""
        file = self._file
        if file is None or file.closed or file.path != path or not file.is_still_at_path():
            self.close()
            file = self._file = OpenFile(path, self._log)
        return file

    def _reopen(self, mark: Mark) -> bool:
        """Return True if the file is there and has the rows before `mark`."""
        path = self.names.open_path(mark.number)
        if not path.exists():
            return False
        file = self._open(path)
        same = mark.format != self._format or file.begins_with(self._header)
        return same and file.holds(mark.size, mark.tail)

    def _settle(self, mark: Mark, rows: bytes) -> bool:
        """Return True if the file ends at `mark`, after cutting a batch that a crash left. It will come again."""
        file = self._open(self.names.open_path(mark.number))
        if self.ends_at(mark):
            return True
        start = file.batch_start()
        if start != mark.size and (start is not None or not file.continues_with(mark.size, rows)):
            return False
        file.cut(mark.size)
        return True

    def _begin_next(self, mark: Mark | None, rows: bytes = b"") -> Mark:
        """Begin a file with the next number, after the file of `mark` is finished or renamed."""
        last = mark.number if mark else 0
        if mark is not None:
            path, compressed = self.names.open_path(last), self.names.compressed_path(last)
            if path.exists():
                rename_away(path, CHANGED, self._log)
                compressed.unlink(missing_ok=True)
            elif compressed.exists():
                self._publish(compressed, mark)
        number = self.names.next_number(last)
        if mark is not None and number == last + 1:
            file = self._open(self.names.open_path(number))
            # At most a first batch, which was not recorded: else the mark had this number.
            start = file.batch_start()
            if start == 0 or (start == len(self._header) and file.begins_with(self._header)):
                file.cut(0)
        return self._begin(number, rows)

    def _begin(self, number: int, rows: bytes, moved: bool = False) -> Mark:
        """Begin a file with the header. A file in the way is renamed, unless the header and `rows` contain it."""
        path = self.names.open_path(number)
        file = self._open(path)
        if not file.is_prefix_of(self._header + rows):
            rename_away(path, CHANGED if moved else AHEAD, self._log)
            file = self._open(path)
        file.cut(0)
        if moved:
            self._log.warning("csv.file_begun", path=str(path))
        file.write(0, self._header)
        size = len(self._header)
        file.note_batch(0)
        return Mark(number, "", size, file.tail(size), self._format)

    # -- finished files

    def _compress(self, number: int) -> None:
        """Replace the open file by a compressed one, which is synced to the disk first."""
        path, compressed = self.names.open_path(number), self.names.compressed_path(number)
        with path.open("rb") as rows, compressed.open("wb") as file:
            # No name and no time in the header, so that equal rows give equal bytes.
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as compressor:
                shutil.copyfileobj(rows, compressor, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.parent)
        path.unlink()

    def _publish(self, path: Path, mark: Mark) -> None:
        """Give a file its finished name. A rename is atomic, so readers see the whole file or none."""
        number, compressed = mark.number, path == self.names.compressed_path(mark.number)
        while (finished := self.names.finished_path(number, mark.day, compressed)).exists():
            number += 1
        path.rename(finished)
        sync_directory(path.parent)
        self._log.info("csv.file_finished", path=str(finished))
