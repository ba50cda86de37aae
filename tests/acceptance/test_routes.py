"""Routes keep their state over kills, whether operators paused them or they fail. Nothing is lost."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.scene import ERP, Scene, serving, wait_until
from tests.support.stub import Answer, Request, Stub


def state(scene: Scene, route: str) -> dict[str, Any]:
    (row,) = [row for row in scene.cli_json("routes") if row["route"] == route]
    return row


def test_a_pause_holds_over_a_kill_and_loses_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.running() as gateway:
        scene.send(1)
        scene.wait_for_delivery()
        assert "bookshop/erp is paused" in scene.cli("pause", "bookshop", "erp", "--why", "new ERP")
        wait_until(lambda: scene.logged("route.paused", route="erp", why="new ERP"), 60, "the gateway to follow")
        assert [scene.send(number).code for number in (2, 3)] == [200, 200]
        gateway.kill()
    with scene.running() as gateway:
        scene.send(4)
        # The gateway reads states before it claims: without the pause the delivery would be gone by now.
        wait_until(lambda: scene.metric("cloudsignal_route_state", route="erp") == 1, 60, "the gateway to follow")
        row = state(scene, "erp")
        assert (row["state"], row["why"], row["pending"], row["due"]) == ("paused", "new ERP", 3, 1)
        assert row["oldest_seconds"] > 0
        assert scene.recorded().total() == 1
        assert "is resumed; 3 pending" in scene.cli("resume", "bookshop", "erp")
        scene.check_custody()
        assert scene.recorded().total() == 4
        scene.cli("pause", "bookshop", "erp")
        wait_until(lambda: len(scene.logged("route.paused")) == 3, 60, "the gateway to follow")
        scene.send(5)
    assert state(scene, "erp")["state"] == "paused"
    scene.cli("resume", "bookshop", "erp")  # no gateway runs now
    with scene.running():
        scene.check_custody()


def test_an_open_breaker_is_listed_and_stays_open_over_a_kill(tmp_path: Path) -> None:
    target, probed_at = Stub(), []

    async def answer_probe(_: Request) -> Answer:
        probed_at.append(time.time())
        return Answer()

    target.faults.extend([*[Answer(500)] * 5, answer_probe])
    with serving(target):
        shop = f'sink: post, options: {{url: "{target.url}"}}'
        scene = Scene(tmp_path, {"bookshop": {"erp": ERP, "shop": shop}}, retry="first: 4s, cap: 4s")
        with scene.running() as gateway:
            for number in range(5):
                scene.send(number, order=str(number))
            # A command may start more slowly than the breaker lets a probe pass, after 4 s.
            opened = "SELECT 1 FROM routes WHERE route = 'shop' AND opened > 0"
            wait_until(lambda: scene.rows(opened), 60, "the breaker to open, and be kept")
            gateway.kill()
        kept = state(scene, "shop")
        assert (kept["state"], kept["reason"], kept["pending"]) == ("failing", "answered 500", 5)
        assert state(scene, "erp")["state"] == "running"
        with scene.running():
            scene.check_custody()
        assert len(target.requests) == 10
        assert probed_at[0] >= datetime.fromisoformat(kept["probe_at"]).timestamp()
        mended = state(scene, "shop")
        assert (mended["state"], mended["reason"], mended["pending"]) == ("running", "", 0)
