"""Runs a gateway in a world that a test controls: `python -m tests.support.world FILE serve --config …`.

FILE holds a JSON object, read whenever the gateway looks. `clock` is the error of the computer's clock in seconds.
`names` is the name server's behaviour: answers as the real one, "hang", or "known", with this computer's address.
`check` is the additional time of the store's check in seconds. The product knows nothing of this.
"""

from __future__ import annotations

import functools
import json
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class World:
    """Return the file's content now."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, name: str, default: Any) -> Any:
        return json.loads(self._path.read_text()).get(name, default) if self._path.exists() else default

    def set(self, **values: Any) -> None:
        """Change the world from a test. The file is replaced, so that no reader sees half of it."""
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(values))
        new.replace(self._path)


def turn_clock(world: World) -> None:
    real = time.time
    time.time = lambda: real() + world.get("clock", 0)


def turn_names(world: World) -> None:
    socket.getaddrinfo = functools.partial(find_name, world, socket.getaddrinfo)  # type: ignore[assignment]


def find_name(world: World, real: Callable[..., Any], host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
    names = world.get("names", "real") if str(host).endswith(".invalid") else "real"
    while names == "hang":
        time.sleep(0.1)
        names = world.get("names", "real")
    return real("127.0.0.1" if names == "known" else host, port, *args, **kwargs)


def slow_check(world: World) -> None:
    from gateway.store.sqlite.integrity import IntegrityCheck

    real = IntegrityCheck._check

    def check(self: IntegrityCheck) -> list[str]:
        time.sleep(world.get("check", 0))
        return real(self)

    IntegrityCheck._check = check  # type: ignore[method-assign]


if __name__ == "__main__":
    world = World(Path(sys.argv[1]))
    # Before the product is imported, which may keep a function where it found it.
    turn_clock(world)
    turn_names(world)
    slow_check(world)
    from gateway.cli import main

    main(sys.argv[2:], prog_name="cloudsignal")
