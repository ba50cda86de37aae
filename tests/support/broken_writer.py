"""Runs a gateway with a writer that breaks on demand: `python -m tests.support.broken_writer serve --config …`.

Once there is a file `break-writer` in the working directory, the writer's thread fails at its next transaction, outside
of the failures that it expects. The fault is put around the product's own function; the product knows nothing of it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gateway.store.writer import Writer


def break_writer(flag: Path) -> None:
    """Make the writer fail once the file is there."""
    write = Writer._write

    def broken(writer: Writer, operations: Any) -> None:
        if flag.exists():
            raise MemoryError
        write(writer, operations)

    Writer._write = broken  # type: ignore[method-assign]


if __name__ == "__main__":
    break_writer(Path("break-writer"))
    from gateway.cli import main

    main(sys.argv[1:], prog_name="cloudsignal")
