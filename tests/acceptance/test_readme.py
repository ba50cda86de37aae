"""The README's first command and its tour, as a stranger runs them: in a bare environment, at 80 columns."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from tests.support.pages import section
from tests.support.process import ROOT, copy_checkout, free_port

README = (ROOT / "README.md").read_text()
INSTALL = (
    "python3 -m venv .venv",
    ".venv/bin/pip install .",
    ".venv/bin/cloudsignal serve --config config/gateway.yaml",
)
TEST = ("python3 -m venv .venv", ".venv/bin/pip install tox", ".venv/bin/tox")
MINUTES = 60


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a checkout with an environment that has only the packages of the first command."""
    folder = tmp_path_factory.mktemp("bare") / "checkout"
    copy_checkout(folder)
    command = f"{INSTALL[0]} && {INSTALL[1]}"
    subprocess.run(command, shell=True, cwd=folder, env=bare_environment(), check=True, timeout=8 * MINUTES)
    return folder


def bare_environment() -> dict[str, str]:
    """Return the environment of a shell that knows nothing of the tests' own Python."""
    ours = ("PYTHON", "VIRTUAL_ENV", "COLUMNS", "LINES", "CLOUDSIGNAL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"TERM": "xterm"}


def run_at_80_columns(script: str, folder: Path) -> tuple[int, str]:
    """Paste a script into bash at a terminal; return its exit code and its output."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=bare_environment() | {"NO_COLOR": "1"},
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)
    seen = b""
    try:
        while data := read(main):
            seen += data
        return process.wait(timeout=MINUTES), re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode().replace("\r\n", "\n"))
    finally:
        process.kill()
        os.close(main)


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux has a terminal's end so, once nobody has it open
        return b""


def blocks() -> list[str]:
    return re.findall(r"```bash\n(.*?)```", section(README, "## A tour in five minutes"), re.DOTALL)


@pytest.mark.parametrize("parts", [INSTALL, TEST], ids=["install", "test"])
def test_the_two_commands(parts: tuple[str, ...]) -> None:
    assert f"\n\n    {' && '.join(parts)}\n\n" in README


@pytest.mark.timeout(15 * MINUTES)  # the environment is made for it, from the network if need be
def test_the_tour(checkout: Path) -> None:
    script = "\n".join(blocks())
    for port in ("8080", "8069", "8090"):
        assert port in script
        script = script.replace(port, str(free_port()))
    code, seen = run_at_80_columns(script, checkout)
    assert code == 0, seen
    for said in (
        "tour/gateway.yaml: ok",
        "signals  317: 317 accepted, 0 given up",
        "received_at,occurred_at,type,account",  # the file
        "CloudSignal · bookshop · alerts · signal",  # Slack
        "note on PO-10022: Cloudprinter: delivery failed",  # Odoo
        "Signal 1: CloudprinterOrderValidated",
        "No deliveries.",
        "No dead letters.",
        "317 signals, and each is accounted for.",
    ):
        assert said in seen, f"{said!r} is not in:\n{seen}"
    assert "Killed" in seen
    assert "Traceback" not in seen
    assert not (checkout / "tour").exists()


def test_the_environment_is_bare(checkout: Path) -> None:
    found = subprocess.run([".venv/bin/python", "-c", "import pytest"], cwd=checkout, capture_output=True, check=False)
    assert b"ModuleNotFoundError" in found.stderr
