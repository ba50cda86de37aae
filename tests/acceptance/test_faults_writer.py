"""The writer's thread ends unexpectedly: senders get 503, /readyz tells, and the process ends with an error.

So its supervisor starts it again, and nothing that was answered 200 is lost.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.test_faults_stop import hanging, wait_for_attempt
from tests.support.process import Gateway
from tests.support.scene import Scene, wait_until
from tests.support.stub import Stub

ENDED = "the store's writer has ended: MemoryError"


@contextmanager
def breakable(folder: Path) -> Iterator[tuple[Scene, Stub, Path]]:
    """Set up a gateway that an attempt keeps up for its grace time, and the file that breaks its writer."""
    with hanging(folder, "2s") as (scene, target):
        scene.gateway = Gateway(folder, scene.env, ("tests.support.broken_writer",))
        yield scene, target, folder / "break-writer"


def assert_nothing_is_lost(scene: Scene) -> None:
    """Start the gateway again, unbroken."""
    with scene.running():
        scene.resend(2)
        scene.wait_for_delivery()
    assert "each is accounted for" in scene.cli("audit")
    assert scene.rows("SELECT signal_id, state FROM deliveries") == [(1, "delivered"), (2, "delivered")]


def test_a_broken_writer_ends_the_process_with_an_error(tmp_path: Path) -> None:
    with breakable(tmp_path) as (scene, target, flag):
        scene.gateway.start()
        wait_for_attempt(scene, target)
        flag.touch()
        assert scene.send(2).code == 503
        wait_until(lambda: scene.logged("gateway.stopping"), 60, "the stop")
        assert scene.send(2).code == 503
        assert scene.ready() == (503, {"store": ENDED, "gateway": "shutting down"})
        assert scene.gateway.wait() == 1
        [line] = scene.logged("store.writer_ended", level="critical")
        assert line["reason"] == "MemoryError"
        assert ENDED in scene.gateway.log.read_text().splitlines()
        flag.unlink()
        assert_nothing_is_lost(scene)


def test_a_writer_that_breaks_during_a_stop_is_no_stop_in_order(tmp_path: Path) -> None:
    with breakable(tmp_path) as (scene, target, flag):
        scene.gateway.start()
        wait_for_attempt(scene, target)
        os.kill(scene.gateway.pid, signal.SIGTERM)
        wait_until(lambda: scene.logged("gateway.stopping"), 60, "the stop")
        flag.touch()  # the attempt is given back at the end of the grace time: a write
        assert scene.gateway.wait() == 1
        assert scene.logged("store.writer_ended", level="critical")
        flag.unlink()
        assert_nothing_is_lost(scene)
