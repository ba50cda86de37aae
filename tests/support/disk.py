"""Disks that fail when a test wants, of each kind that this computer allows."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path


def run(*words: object) -> str:
    """Return a command's output. Raises CalledProcessError if it fails."""
    return subprocess.run([*map(str, words)], check=True, capture_output=True, text=True, timeout=30).stdout.strip()


@contextmanager
def mounted(folder: Path, *options: object) -> Iterator[None]:
    """Mount a file system for the duration of a test."""
    folder.mkdir(exist_ok=True)
    run("mount", *options, folder)
    try:
        yield
    finally:
        run("umount", "--lazy", folder)


@cache
def may_mount() -> bool:
    """Return True if the tests may mount file systems."""
    return works(SmallDisk)


@cache
def may_break() -> bool:
    """Return True if the tests may mount a file system from a file, and make it fail."""
    return works(BreakingDisk)


def works(kind: type[SmallDisk] | type[BreakingDisk]) -> bool:
    try:
        with tempfile.TemporaryDirectory() as folder, kind(Path(folder)).made() as disk:
            disk.fail(0)
            return True
    except (OSError, subprocess.SubprocessError):
        return False


class SmallDisk:
    """A file system of 2 MB in memory, which can be filled to the last byte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "disk"

    @contextmanager
    def made(self) -> Iterator[SmallDisk]:
        with mounted(self.folder, "-t", "tmpfs", "-o", "size=2m", "tmpfs"):
            yield self

    def fail(self, pid: int) -> None:
        with contextlib.suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)

    def mend(self, pid: int) -> None:
        (self.folder / "ballast").unlink()


class LimitedDisk:
    """Any disk that is full for the gateway, because its files may not grow (RLIMIT_FSIZE)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "disk"

    @contextmanager
    def made(self) -> Iterator[LimitedDisk]:
        self.folder.mkdir()
        yield self

    def fail(self, pid: int) -> None:
        size = max(path.stat().st_size for path in self.folder.iterdir())
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def mend(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class BreakingDisk:
    """An ext4 file system in a file. It fails as on a bad disk: it becomes read-only and stays so until it is mounted
    anew (`repair`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "disk"
        self._image = folder / "disk.img"

    @contextmanager
    def made(self) -> Iterator[BreakingDisk]:
        with self._image.open("wb") as file:
            os.truncate(file.fileno(), 8 << 20)
        run("mkfs.ext4", "-q", self._image)
        with self._mounted():
            yield self

    def _mounted(self) -> contextlib.AbstractContextManager[None]:
        return mounted(self.folder, "-o", "loop,errors=remount-ro", self._image)

    def fail(self, pid: int) -> None:
        device = Path(run("findmnt", "-no", "SOURCE", self.folder)).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")

    def repair(self) -> None:
        """Unmount it, check it and mount it again. No process may use it meanwhile."""
        run("umount", self.folder)
        subprocess.run(["e2fsck", "-p", self._image], check=False, capture_output=True, timeout=30)
        run("mount", "-o", "loop,errors=remount-ro", self._image, self.folder)


KINDS: dict[str, Callable[[Path], SmallDisk | LimitedDisk]] = {
    "limited": LimitedDisk,
    **({"small": SmallDisk} if may_mount() else {}),
}
"""Disks that fill up and get free space again under a running gateway."""
