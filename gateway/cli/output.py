"""Standard output and error of all commands: characters that can't be encoded, and writes that fail."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import click


class OutputFailed(OSError):
    """Standard output or error can't be written."""


class OutputStream(io.TextIOWrapper):
    """A text stream that escapes characters which its encoding lacks, and raises OutputFailed if a write fails."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return the encoding's name. Click would write UTF-8 to a stream that calls itself ASCII."""
        return "ascii-escaped" if self.is_ascii else str(super().encoding)

    @property
    def is_ascii(self) -> bool:
        """Return True if the stream takes ASCII only."""
        return codecs.lookup(super().encoding).name == "ascii"

    def write(self, text: str) -> int:
        with failure_named():
            return super().write(text)

    def flush(self) -> None:
        with failure_named():
            super().flush()


@contextlib.contextmanager
def failure_named() -> Iterator[None]:
    """Raise an OSError of the context as OutputFailed."""
    try:
        yield
    except OSError as error:
        raise OutputFailed(*error.args) from error


def prepare_streams() -> None:
    """Replace standard output and error by streams that escape characters and name their failures."""
    sys.stdout, sys.stderr = prepare(sys.stdout or make_closed()), prepare(sys.stderr or make_closed())


def make_closed() -> TextIO:
    """Return a stream in the place of a closed one, which fails when it is written.

    It takes the free file descriptor, so that the store's file does not get it.
    """
    return os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")


def prepare(stream: TextIO) -> TextIO:
    if type(stream) is not io.TextIOWrapper:  # a test's
        return stream
    encoding, buffering = stream.encoding, stream.line_buffering
    return OutputStream(stream.detach(), encoding, "backslashreplace", line_buffering=buffering)


def is_encodable(text: str) -> bool:
    """Return True if standard output can take the text without escapes."""
    stream = sys.stdout
    encoding = "ascii" if isinstance(stream, OutputStream) and stream.is_ascii else stream.encoding
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def failures_told() -> Iterator[None]:
    """Exit with code 1 if the output can't be written. Print the reason, unless a reader such as `head` has left."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OutputFailed as error:
        if error.errno != errno.EPIPE:
            with contextlib.suppress(OSError):
                click.echo(f"the output can't be written: {error.strerror or error}", err=True)
        for stream in (sys.stdout, sys.stderr):
            abandon(stream)
        sys.exit(1)


def abandon(stream: TextIO) -> None:
    """Send the rest of a stream nowhere if it can't be written: at its exit, Python would fail to flush it."""
    with contextlib.suppress(OSError):
        stream.flush()
        return
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
