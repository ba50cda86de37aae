"""The gateway is stopped while it is busy, and runs while its log can't be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.acceptance.test_faults_store import lock
from tests.support.process import free_port
from tests.support.scene import Scene, fetch, serving, wait_until
from tests.support.stub import Fault, Stub


@contextmanager
def hanging(folder: Path, grace: str, sink: str = "patient") -> Iterator[tuple[Scene, Stub]]:
    """Make a gateway with a route to a target that hangs at its first request and works afterwards."""
    target = Stub()
    target.faults.append(Fault.HANG)
    with serving(target):
        routes = {"bookshop": {"erp": f'sink: {sink}, options: {{url: "{target.url}"}}'}}
        yield Scene(folder, routes, grace=grace, plugins=sink), target


def wait_for_attempt(scene: Scene, target: Stub) -> None:
    scene.send(1)
    wait_until(lambda: target.requests, 60, "the attempt")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_releases_running_deliveries_and_answers_senders_503(tmp_path: Path, number: signal.Signals) -> None:
    with hanging(tmp_path, "4s") as (scene, target):
        with scene.running() as gateway:
            wait_for_attempt(scene, target)
            os.kill(gateway.pid, number)
            wait_until(lambda: scene.logged("gateway.stopping"), 60, "the stop")
            assert scene.send(2).code == 503
            assert fetch(f"{gateway.url}/healthz").code == 503
            assert scene.ready() == (503, {"store": "", "gateway": "shutting down"})
            assert gateway.wait() == 0
        assert scene.rows("SELECT state, attempts, lease FROM deliveries") == [("pending", 0, None)]
        assert scene.rows("SELECT count(*) FROM attempts") == [(0,)]
        (released,) = scene.logged("delivery.attempted")
        assert (released["outcome"], released["level"]) == ("released", "info")
        with scene.running():
            scene.resend(2)
            scene.wait_for_delivery()
        assert not scene.logged("store.check_started")
        assert [request.json["attempt"] for request in target.requests] == [1, 1, 1]


def test_an_attempt_that_ends_within_the_grace_time_is_recorded(tmp_path: Path) -> None:
    with hanging(tmp_path, "60s", "post") as (scene, target), scene.running() as gateway:
        wait_for_attempt(scene, target)
        os.kill(gateway.pid, signal.SIGTERM)
        # The sink times out after 2 s, which counts as a failure.
        assert gateway.wait() == 0
        assert scene.rows("SELECT state, attempts FROM deliveries") == [("pending", 1)]


def test_a_request_under_way_is_answered_when_the_gateway_stops(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.running() as gateway:
        answers: list[int] = []
        with closing(lock(scene.store)):
            sender = threading.Thread(target=lambda: answers.append(scene.send(1).code))
            sender.start()
            wait_until(lambda: scene.ready()[0] == 503, 60, "the request to wait")
            os.kill(gateway.pid, signal.SIGTERM)
            wait_until(lambda: scene.logged("gateway.stopping"), 60, "the stop")
        sender.join()
        assert answers == [200]
        assert gateway.wait() == 0
    with scene.running():
        scene.check_custody()


def test_a_second_signal_ends_it_at_once_and_loses_nothing(tmp_path: Path) -> None:
    with hanging(tmp_path, "60s") as (scene, target):
        with scene.running() as gateway:
            wait_for_attempt(scene, target)
            os.kill(gateway.pid, signal.SIGTERM)
            wait_until(lambda: scene.logged("gateway.stopping"), 60, "the stop")
            assert gateway.terminate() == -signal.SIGTERM
        with scene.running():
            scene.wait_for_delivery()
            assert scene.logged("gateway.recovered", released=1)
            assert scene.logged("store.check_ended", result="sound")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_log_that_can_not_be_written_loses_only_its_lines(tmp_path: Path) -> None:
    scene = Scene(tmp_path, port=(port := free_port()))
    command = [sys.executable, "-m", "gateway", "serve", "--config", "gateway.yaml"]
    buffered = {**os.environ, **scene.env, "PYTHONUNBUFFERED": ""}
    with (
        open("/dev/full", "w") as full,
        subprocess.Popen(command, cwd=tmp_path, stderr=full, env=buffered) as process,
    ):
        scene.gateway.url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{scene.gateway.url}/healthz"), 60, "the start")
        for number in range(20):
            assert scene.send(number).code == 200
        scene.check_custody()
        process.terminate()
        assert process.wait(timeout=60) == 0


def answers(url: str) -> bool:
    try:
        return fetch(url).code == 200
    except OSError:
        return False
