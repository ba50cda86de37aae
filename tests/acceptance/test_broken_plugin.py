"""A plugin that can't be loaded: signals are taken, its routes say why, and a reload mends it without loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.process import run_cli
from tests.support.scene import ERP, Scene, wait_until

WORKS = """\
from gateway.signal_types import ITEM_SHIPPED
from gateway.sink import Sink

class Desk(Sink):
    name = "desk"
    summary = "takes everything"
    signals = frozenset({ITEM_SHIPPED})

    async def deliver(self, delivery):
        with open("desk.txt", "a") as file:
            file.write(delivery.signal.order + "\\n")
"""
BROKEN = {
    "import": ("import not_there_at_all\n", "No module named 'not_there_at_all'"),
    "syntax": ("class Desk(:\n", "SyntaxError: "),
    "exit": ("import sys\nsys.exit(7)\n", "SystemExit: 7"),
    "interrupt": ("raise KeyboardInterrupt\n", "KeyboardInterrupt: "),
    "no-sink": ("Desk = 5\n", "PluginError: the entry point is not a Sink class"),
    "wrong-api": (WORKS.replace("deliver(", "send("), "PluginError: the class has neither deliver nor deliver_batch"),
    "missing": ("", "no plugin of this name is installed"),
}


def write_plugin(folder: Path, text: str) -> None:
    """Write a plugin as pip would install it; an empty text takes the package away."""
    (folder / "path" / "desk_of_test.py").write_text(text)
    info = folder / "path" / "desk_of_test-1.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: desk-of-test\nVersion: 1\n")
    point = "[cloudsignal.sinks]\ndesk = desk_of_test:Desk\n" if text else ""
    (info / "entry_points.txt").write_text(point)


@pytest.mark.parametrize("how", BROKEN)
def test_signals_are_taken_and_a_reload_mends_the_route(tmp_path: Path, how: str) -> None:
    text, reason = BROKEN[how]
    scene = Scene(tmp_path, {"bookshop": {"desk": "sink: desk, options: {}", "erp": ERP}})
    config = tmp_path / "gateway.yaml"
    config.write_text(config.read_text().replace("plugins: [", "plugins: [desk, "))
    write_plugin(tmp_path, text)
    checked = run_cli("check", "--config", "gateway.yaml", cwd=tmp_path, env=scene.env)
    assert checked.returncode == 1
    assert reason in checked.stderr
    assert "accounts.bookshop.routes.desk.sink: " in checked.stderr
    with scene.running():
        assert scene.send(1).code == 200
        wait_until(lambda: scene.rows("SELECT 1 FROM deliveries WHERE state = 'delivered'"), 60, "the well route")
        assert scene.ready()[0] == 200
        (failed,) = scene.logged("plugin.failed", plugin="desk")
        assert reason in failed["reason"]
        (row,) = [row for row in scene.cli_json("routes") if row["route"] == "desk"]
        assert (row["state"], row["pending"]) == ("misconfigured", 1)
        assert reason in row["reason"]
        assert reason in " ".join(scene.cli("explain", "1").split())  # whatever the width
        assert scene.metric("cloudsignal_route_state", route="desk") == 3
        write_plugin(tmp_path, WORKS)
        scene.cli("reload")
        wait_until(lambda: scene.states() == {"delivered": 2}, 60, "the mended route")
    assert (tmp_path / "desk.txt").read_text() == "1000\n"
    assert not scene.rows("SELECT attempts FROM deliveries WHERE route = 'desk' AND attempts != 1")


def test_types_that_the_mended_sink_does_not_take_are_filtered(tmp_path: Path) -> None:
    """While it can't be loaded, its own types are unknown, and the route is given all signals."""
    scene = Scene(tmp_path, {"bookshop": {"desk": "sink: desk, options: {}"}})
    config = tmp_path / "gateway.yaml"
    config.write_text(config.read_text().replace("plugins: [", "plugins: [desk, "))
    write_plugin(tmp_path, "import not_there_at_all\n")
    with scene.running():
        assert scene.send(1).code == 200
        write_plugin(tmp_path, WORKS.replace("ITEM_SHIPPED", "ITEM_ERROR"))
        scene.cli("reload")
        wait_until(lambda: scene.states() == {"filtered": 1}, 60, "the mended route")
    assert not (tmp_path / "desk.txt").exists()
