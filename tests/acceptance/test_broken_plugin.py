"""Plugins that can't be loaded: signals are taken, their routes say why, and a reload mends them without loss."""

from __future__ import annotations

from pathlib import Path

from tests.support.process import run_cli
from tests.support.scene import ERP, Scene, wait_until

WORKS = """\
from gateway.signal_types import ITEM_SHIPPED
from gateway.sink import Sink

class Desk(Sink):
    name = "NAME"
    summary = "takes everything"
    signals = frozenset({ITEM_SHIPPED})

    async def deliver(self, delivery):
        with open("NAME.txt", "a") as file:
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


def write_plugin(folder: Path, name: str, text: str) -> None:
    """Write a plugin as pip would install it; an empty text takes the package away."""
    module = f"{name.replace('-', '_')}_of_test"
    (folder / "path" / f"{module}.py").write_text(text.replace("NAME", name))
    info = folder / "path" / f"{module}-1.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
    point = f"[cloudsignal.sinks]\n{name} = {module}:Desk\n" if text else ""
    (info / "entry_points.txt").write_text(point)


def test_signals_are_taken_and_a_reload_mends_the_routes(tmp_path: Path) -> None:
    routes = {name: f"sink: {name}, options: {{}}" for name in BROKEN}
    scene = Scene(tmp_path, {"bookshop": {**routes, "erp": ERP}}, plugins=", ".join([*BROKEN, "recorder"]))
    for name, (text, _) in BROKEN.items():
        write_plugin(tmp_path, name, text)
    checked = run_cli("check", "--config", "gateway.yaml", cwd=tmp_path, env=scene.env)
    assert checked.returncode == 1
    for name, (_, reason) in BROKEN.items():
        (line,) = [line for line in checked.stderr.splitlines() if f"accounts.bookshop.routes.{name}.sink: " in line]
        assert reason in line
    with scene.running():
        assert scene.send(1).code == 200
        wait_until(lambda: scene.rows("SELECT 1 FROM deliveries WHERE state = 'delivered'"), 60, "the well route")
        assert scene.ready()[0] == 200
        rows = {row["route"]: row for row in scene.cli_json("routes")}
        explained = " ".join(scene.cli("explain", "1").split())  # whatever the width
        for name, (_, reason) in BROKEN.items():
            (failed,) = scene.logged("plugin.failed", plugin=name)
            assert reason in failed["reason"]
            assert (rows[name]["state"], rows[name]["pending"]) == ("misconfigured", 1)
            assert reason in rows[name]["reason"]
            assert reason in explained
            assert scene.metric("cloudsignal_route_state", route=name) == 3
            write_plugin(tmp_path, name, WORKS)
        scene.cli("reload")
        wait_until(lambda: scene.states() == {"delivered": 1 + len(BROKEN)}, 60, "the mended routes")
    for name in BROKEN:
        assert (tmp_path / f"{name}.txt").read_text() == "1000\n"
    assert not scene.rows("SELECT attempts FROM deliveries WHERE route <> 'erp' AND attempts <> 1")


def test_types_that_the_mended_sink_does_not_take_are_filtered(tmp_path: Path) -> None:
    """While it can't be loaded, its own types are unknown, and the route is given all signals."""
    scene = Scene(tmp_path, {"bookshop": {"desk": "sink: desk, options: {}"}}, plugins="desk")
    write_plugin(tmp_path, "desk", "import not_there_at_all\n")
    with scene.running():
        assert scene.send(1).code == 200
        write_plugin(tmp_path, "desk", WORKS.replace("ITEM_SHIPPED", "ITEM_ERROR"))
        scene.cli("reload")
        wait_until(lambda: scene.states() == {"filtered": 1}, 60, "the mended route")
    assert not (tmp_path / "desk.txt").exists()
