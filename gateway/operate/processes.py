"""Finds the process of a running gateway, and makes sure that a given process is one."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePath

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.store import serving_process

PROC = Path("/proc")
NAMES = re.compile(r"cloudsignal|gateway|python[\d.]*")
"""Programs that run a gateway: `cloudsignal serve`, `python -m gateway serve`, a program that embeds it."""


def find_process(config: Config, given: int | None = None) -> int:
    """Return the process id of the gateway that uses the config's store: the `given` one, once it is checked.

    Raises GatewayError if there is none, or if the given process is another one. SIGHUP would end most programs.
    """
    owner = serving_process(config.store)
    if config.store.url.startswith("sqlite"):
        if owner is None:
            raise GatewayError(f"no gateway is running on {config.store.url}: `cloudsignal serve` starts one")
        if given not in (None, owner):
            raise GatewayError(f"the gateway on {config.store.url} is process {owner}, not {given}; nothing was sent")
        return owner
    if given is None:
        raise GatewayError("name the gateway's process with --pid, or send it SIGHUP")
    require_gateway(given, read_command(given), survives_hangup(given))
    return given


def require_gateway(process: int, command: Sequence[str], survives: bool = True) -> None:
    """Raise GatewayError if a process is no `cloudsignal serve`, or would end by SIGHUP. No argument is shown."""
    if not command:
        raise GatewayError(f"there is no process {process}")
    program, *arguments = [PurePath(part).name for part in command]
    if "serve" not in arguments or not NAMES.fullmatch(program) or not survives:
        raise GatewayError(f"process {process} is {program}, and no gateway; nothing was sent")


def survives_hangup(process: int) -> bool:
    """Return False if the system knows that SIGHUP would end a process, as it neither handles nor ignores it."""
    try:
        status = (PROC / str(process) / "status").read_text()
    except OSError:
        return True
    masks = re.findall(r"^Sig(?:Cgt|Ign):\s*([0-9a-f]+)$", status, re.MULTILINE)
    return not masks or any(int(mask, 16) & 1 << signal.SIGHUP - 1 for mask in masks)


def read_command(process: int) -> list[str]:
    """Return a process's command line, [] if there is no such process."""
    if PROC.is_dir():
        try:
            text = (PROC / str(process) / "cmdline").read_bytes().decode(errors="replace")
            return text.rstrip("\0").split("\0") if text else (PROC / str(process) / "comm").read_text().split()
        except OSError:
            return []
    command = ["ps", "-o", "command=", "-p", str(process)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout.split()
