"""The disk is full or read-only: no signal is answered 200 unless it is on disk, and work resumes afterwards."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from tests.support import disk
from tests.support.scene import Scene, wait_until

STORE = Path("disk/gateway.db")


@pytest.mark.parametrize("kind", disk.KINDS)
def test_a_full_disk_is_answered_503_and_nothing_is_lost(tmp_path: Path, kind: str) -> None:
    numbers = itertools.count()
    with disk.KINDS[kind](tmp_path).made() as full:
        scene = Scene(tmp_path, store=STORE)
        with scene.running() as gateway:
            for _ in range(3):
                assert scene.send(next(numbers)).code == 200
            scene.wait_for_delivery()
            assert scene.ready() == (200, {"store": "", "gateway": ""})

            full.fail(gateway.pid)
            refused = [scene.send_until(503, numbers)]
            refused += [number for number in itertools.islice(numbers, 5) if scene.send(number).code == 503]
            assert_operators_see_it(scene)

            full.mend(gateway.pid)
            for number in refused:
                scene.resend(number)
            scene.check_custody()
            assert scene.ready() == (200, {"store": "", "gateway": ""})
        assert_clean_restart(scene)


def assert_operators_see_it(scene: Scene) -> None:
    wait_until(lambda: scene.ready()[0] == 503, 60, "/readyz to tell")
    assert scene.ready()[1]["store"].startswith("the store could not write: ")
    assert scene.metric("cloudsignal_store_failures_total") >= 1
    assert scene.metric("cloudsignal_request_seconds_count", code="503") >= 1
    assert scene.metric("cloudsignal_request_seconds_count", code="500") == 0
    # A thread of the test copies the gateway's output to this log.
    wait_until(lambda: scene.logged("store.write_failed", level="error"), 60, "the log to tell")
    assert scene.logged("signal.refused", code=503)


def assert_clean_restart(scene: Scene) -> None:
    """Assert that the run ended in order, so that the next one does not check the store."""
    with scene.running():
        scene.check_custody()
    assert not scene.logged("store.check_started")


def test_results_of_a_full_disk_are_recorded_when_there_is_room_again(tmp_path: Path) -> None:
    numbers = itertools.count()
    with disk.LimitedDisk(tmp_path).made() as full:
        scene = Scene(tmp_path, store=STORE)
        with scene.running() as gateway:
            scene.send(next(numbers))
            scene.wait_for_delivery()
            # Send until the disk is full: the last signals are accepted, but their results can't be written.
            full.fail(gateway.pid)
            refused = scene.send_until(503, numbers)
            wait_until(lambda: scene.logged("store.write_failed"), 60, "a write to fail")
            full.mend(gateway.pid)
            scene.resend(refused)
            scene.check_custody()
        failed = len(scene.logged("dispatch.store_failed"))
        # The gateway pauses after a failure of the store: one log line per try, not thousands.
        assert failed <= 10
        assert set(scene.recorded().values()) == {1}


@pytest.mark.parametrize("kind", ["breaking"] if disk.may_break() else ["limited"])
def test_a_read_only_disk(tmp_path: Path, kind: str) -> None:
    numbers = itertools.count()
    make = disk.BreakingDisk if kind == "breaking" else disk.LimitedDisk
    with make(tmp_path).made() as broken:
        scene = Scene(tmp_path, store=STORE, grace="1s")
        with scene.running() as gateway:
            scene.send(next(numbers))
            scene.wait_for_delivery()
            broken.fail(gateway.pid)
            refused = scene.send_until(503, numbers)
            assert_operators_see_it(scene)
            assert gateway.terminate() == 0
        if isinstance(broken, disk.BreakingDisk):
            assert "can't open the store" in scene.refused_start()
            broken.repair()
        with scene.running():
            scene.resend(refused)
            scene.check_custody()


@pytest.mark.skipif(not disk.may_mount() and "CI" not in os.environ, reason="we may not mount here")
def test_a_start_on_a_read_only_disk(tmp_path: Path) -> None:
    with disk.SmallDisk(tmp_path).made() as small:
        scene = Scene(tmp_path, store=STORE)
        with scene.running():
            scene.send(1)
        disk.run("mount", "-o", "remount,ro", small.folder)
        assert scene.refused_start() == f"can't open the store {STORE}: Read-only file system"
        disk.run("mount", "-o", "remount,rw", small.folder)
        with scene.running():
            scene.send(2)
            scene.check_custody()
