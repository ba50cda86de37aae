"""SIGHUP while a gateway starts does not end it: it reloads once it can."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import recorder
from tests.support.process import ROOT, Gateway, free_port
from tests.support.scene import wait_until

CONFIG = """\
server: {{listen: "127.0.0.1:{port}"}}
store: {{url: "{url}"}}
accounts:
  bookshop: {{keys: [a-key-for-this-test]}}
"""


def blocks_hang_ups(pid: int) -> bool:
    """Return True if SIGHUP waits: the process has run its first lines, and no handler is there yet."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk:"))
    return bool(int(mask, 16) >> (signal.SIGHUP - 1) & 1)


@contextmanager
def starting(gateway: Gateway) -> Iterator[int]:
    """Start a gateway, and give its process id as soon as it is safe from SIGHUP."""
    thread = threading.Thread(target=gateway.start)
    thread.start()
    wait_until(lambda: gateway.running and blocks_hang_ups(gateway.pid), 60, "the process to block SIGHUP")
    yield gateway.pid
    thread.join()


def test_a_gateway_that_starts_survives_and_reloads(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(CONFIG.format(port=free_port(), url="sqlite:///gateway.db"))
    gateway = Gateway(tmp_path)
    with starting(gateway) as pid:
        os.kill(pid, signal.SIGHUP)
    gateway.wait_for_log('"config.reloaded"')
    os.kill(gateway.pid, signal.SIGHUP)
    gateway.wait_for_log('"config.reloaded"', 2)
    assert gateway.terminate() == 0


def test_workers_that_start_survive_and_reload(tmp_path: Path, postgres_url: str) -> None:
    (tmp_path / "gateway.yaml").write_text(CONFIG.format(port=free_port(), url=postgres_url))
    recorder.install(tmp_path / "path")
    gateway = Gateway(tmp_path, {"PYTHONPATH": f"{ROOT}:{tmp_path / 'path'}"}, words=("--workers", "2"))
    with starting(gateway) as pid:
        os.kill(pid, signal.SIGHUP)
        gateway.wait_for_log('"workers.starting"')
        os.kill(pid, signal.SIGHUP)  # the workers have hardly begun
    gateway.wait_for_log('"gateway.started"', 2)
    os.kill(pid, signal.SIGHUP)
    gateway.wait_for_log('"config.reloaded"', 2)
    assert '"worker.ended"' not in gateway.log.read_text()
    assert gateway.terminate() == 0
