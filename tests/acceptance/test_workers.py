"""`serve --workers` runs processes on one port and one PostgreSQL, restarts them, and stops them together."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

from tests.support import recorder
from tests.support.payloads import KEY, example, request
from tests.support.postgres import Server
from tests.support.process import ROOT, Gateway, free_port, run_cli
from tests.support.scene import fetch, wait_until

CONFIG = """\
server: {{listen: "127.0.0.1:{port}", grace: 2s}}
store: {{url: "{url}"}}
plugins: [recorder]
accounts:
  bookshop:
    keys: [{key}]
    routes:
      erp: {{sink: recorder, options: {{file: erp.jsonl}}}}
"""


def logged(gateway: Gateway, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def test_workers_share_a_port_and_a_store(tmp_path: Path, postgres: Server, postgres_url: str) -> None:
    port = free_port()
    (tmp_path / "gateway.yaml").write_text(CONFIG.format(port=port, url=postgres_url, key=KEY))
    recorder.install(tmp_path / "path")
    gateway = Gateway(
        tmp_path, {"PYTHONPATH": f"{ROOT}:{tmp_path / 'path'}", "TEST_LEASE": "2"}, words=("--workers", "3")
    )
    gateway.start()
    wait_until(lambda: len(logged(gateway, "gateway.started")) == 3, 60, "three workers to start")
    workers = children(gateway.pid)
    assert len(workers) == 3

    def send(numbers: range) -> None:
        for number in numbers:
            payload = example(order=str(number % 5), item=str(number))
            # A killed worker takes its open requests with it, so senders retry.
            wait_until(lambda p=payload: try_send(port, p), 60, "a signal to be accepted")

    send(range(20))
    os.kill(workers[0], signal.SIGKILL)
    send(range(20, 40))
    wait_until(lambda: len(logged(gateway, "gateway.started")) == 4, 60, "another worker in its place")

    def delivered() -> bool:
        return postgres.execute_at(postgres_url, "SELECT count(*) FROM deliveries WHERE state <> 'delivered'") == [(0,)]

    wait_until(delivered, 60, "all to be delivered")
    assert postgres.execute_at(postgres_url, "SELECT count(*) FROM signals") == [(40,)]
    assert len(logged(gateway, "worker.ended")) == 1
    assert gateway.terminate() == 0
    assert len(logged(gateway, "gateway.stopped")) == 3


def try_send(port: int, payload: dict[str, Any]) -> bool:
    try:
        return fetch(f"http://127.0.0.1:{port}/signals/bookshop", request(payload)).code == 200
    except OSError:
        return False


def test_workers_reload_together(tmp_path: Path, postgres_url: str) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(CONFIG.format(port=free_port(), url=postgres_url, key=KEY))
    recorder.install(tmp_path / "path")
    env = {"PYTHONPATH": f"{ROOT}:{tmp_path / 'path'}"}
    gateway = Gateway(tmp_path, env, words=("--workers", "2"))
    gateway.start()
    wait_until(lambda: len(logged(gateway, "gateway.started")) == 2, 30, "two workers to start")
    config.write_text(config.read_text() + "  printshop: {keys: [a-key-of-the-printshop]}\n")
    words = ("reload", "--config", "gateway.yaml", "--pid", str(gateway.pid))
    assert "account printshop comes" in run_cli(*words, cwd=tmp_path, env=env).stdout
    assert len(logged(gateway, "config.reloaded")) == 2
    assert gateway.terminate() == 0


def test_workers_end_with_their_parent_process(tmp_path: Path, postgres_url: str) -> None:
    (tmp_path / "gateway.yaml").write_text(CONFIG.format(port=free_port(), url=postgres_url, key=KEY))
    recorder.install(tmp_path / "path")
    gateway = Gateway(tmp_path, {"PYTHONPATH": f"{ROOT}:{tmp_path / 'path'}"}, words=("--workers", "2"))
    gateway.start()
    wait_until(lambda: len(logged(gateway, "gateway.started")) == 2, 60, "two workers to start")
    gateway.kill()  # waits until its stderr is closed, which means that its workers have ended
    assert len(logged(gateway, "gateway.stopped")) == 2


def test_settings_that_workers_can_not_serve_are_refused(tmp_path: Path, postgres_url: str) -> None:
    recorder.install(tmp_path / "path")

    def refused(url: str, port: int) -> str:
        (tmp_path / "gateway.yaml").write_text(CONFIG.format(port=port, url=url, key=KEY))
        env = {"PYTHONPATH": f"{ROOT}:{tmp_path / 'path'}"}
        result = run_cli("serve", "--config", "gateway.yaml", "--workers", "2", cwd=tmp_path, env=env)
        assert result.returncode == 1
        return re.sub(r"(?m)^\{.*\n", "", result.stderr)

    assert "--workers needs PostgreSQL as the store" in refused("sqlite:///gateway.db", free_port())
    assert "expected a port other than 0" in refused(postgres_url, 0)
    nowhere = postgres_url.replace("/postgres?", "/nowhere?")
    assert "can't open the store nowhere at " in refused(nowhere, free_port())
