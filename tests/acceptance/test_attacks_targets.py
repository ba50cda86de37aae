"""Targets that attack: a client's receiver delays no other account's answers, takes no memory, and no longer stop."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_receiver import SECRET
from tests.support.payloads import example, key_of, request
from tests.support.process import ROOT, Gateway, environment
from tests.support.scene import fetch, wait_until

CONFIG = """\
server: {{listen: "127.0.0.1:0", grace: 2s}}
store: {{url: "sqlite:///gateway.db"}}
plugins: [webhook, slack]
tenant: acme
accounts:
  well:
    keys: [{well}]
  ill:
    keys: [{ill}]
    routes:
      one:
        sink: webhook
        concurrency: 8
        retry: {{first: 0.05s, cap: 0.1s}}
        options: {{url: "{url}", secrets: "{secret}", allow_private: true}}
      two:
        sink: slack
        signals: ["*"]
        retry: {{first: 0.05s, cap: 0.1s}}
        options: {{webhook_url: "{url}"}}
"""
ROUNDS = 40
SLOWER = 20
"""Times that a median answer may take in an attack. Measured: 1 to 3. Before the limits: 4,600."""


@contextlib.contextmanager
def attacking(name: str) -> Iterator[str]:
    """Run a target of tests.support.raw_target in a process of its own, and return its URL."""
    command = [sys.executable, "-m", "tests.support.raw_target", name]
    with subprocess.Popen(command, cwd=ROOT, env=environment(None), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def write_config(folder: Path, url: str) -> Path:
    keys = {name: key_of(name) for name in ("well", "ill")}
    (folder / "gateway.yaml").write_text(CONFIG.format(url=url, secret=SECRET, **keys))
    return folder


def send(gateway: Gateway, account: str, numbers: range) -> list[float]:
    """Send signals of as many orders, one after the other, and return the seconds of each answer."""
    took = []
    for number in numbers:
        body = request(example(order=str(number)), key_of(account))
        before = time.monotonic()
        assert fetch(f"{gateway.url}/signals/{account}", body).code == 200
        took.append(time.monotonic() - before)
    return took


def peak_memory(gateway: Gateway) -> int:
    """Return the most memory that the process ever had, in bytes."""
    (line,) = [line for line in Path(f"/proc/{gateway.pid}/status").read_text().splitlines() if "VmHWM" in line]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize(
    "name",
    ["endless-early-hints", "endless-headers", "endless-small-chunks", "endless-body", "bomb", "dripping-headers"],
)
def test_a_target_that_attacks_delays_no_other_account(tmp_path: Path, name: str) -> None:
    with attacking(name) as url, Gateway(write_config(tmp_path, url)) as gateway:
        alone = send(gateway, "well", range(ROUNDS))
        memory = peak_memory(gateway)
        send(gateway, "ill", range(ROUNDS))
        attacked = send(gateway, "well", range(1000, 1000 + ROUNDS))
        assert statistics.median(attacked) < SLOWER * max(statistics.median(alone), 0.002)
        assert peak_memory(gateway) - memory < 64 * 1024 * 1024
        before = time.monotonic()
        assert gateway.terminate() == 0
        assert time.monotonic() - before < 2 + 10


def test_a_signal_is_delivered_by_the_status_alone(tmp_path: Path) -> None:
    """The body never ends, yet each signal is posted once, and the next signal of the order follows at once."""
    with attacking("endless-body") as url, Gateway(write_config(tmp_path, url)) as gateway:
        for number in range(5):
            body = request(example(item=str(number)), key_of("ill"))
            assert fetch(f"{gateway.url}/signals/ill", body).code == 200

        def attempts(outcome: str) -> int:
            lines = gateway.log.read_text().splitlines()
            return sum(f'"outcome":"{outcome}"' in line and '"route":"one"' in line for line in lines)

        wait_until(lambda: attempts("delivered") == 5, 60, "all to be delivered")
        assert attempts("retry") == 0
        assert gateway.terminate() == 0
