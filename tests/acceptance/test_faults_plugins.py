"""Plugins that misbehave: other accounts' signals are taken and delivered, and the gateway stops in time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scene import ERP, Scene, wait_until

RAISES = ("exit", "interrupt", "generator", "base", "cancel", "bug")
CASES = [
    *itertools.product(("init", "open", "deliver"), RAISES),
    *(("deliver", does) for does in ("surrogate", "background", "block", "stop")),
]
FAULTS = {
    "exit": "SystemExit: 7",
    "interrupt": "KeyboardInterrupt: ",
    "generator": "GeneratorExit: ",
    "base": "RudeError: rude",
    "cancel": "the sink cancelled itself",
    "bug": "KeyError: 'nothing'",
    "surrogate": "no \\udc80 text",
}


def name_of(hook: str, does: str) -> str:
    return f"{hook}-{does}"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A gateway with an account for each case, to which one signal was sent."""
    rude = {name_of(*case): {"rude": rudely(*case), "erp": ERP} for case in CASES}
    scene = Scene(tmp_path_factory.mktemp("rude"), rude, retry="first: 60s, cap: 60s")
    with scene.running():
        for case in CASES:
            assert scene.send(1, name_of(*case)).code == 200
        wait_until(lambda: not rows(scene, "erp", "pending"), 60, "every signal to be at the well sink")
        wait_until(lambda: not scene.rows("SELECT 1 FROM deliveries WHERE lease IS NOT NULL"), 60, "the attempts")
        yield scene


def rudely(hook: str, does: str) -> str:
    return f"sink: rude, options: {{hook: {hook}, does: {does}}}"


def rows(scene: Scene, route: str, state: str) -> list[object]:
    return scene.rows(f"SELECT account FROM deliveries WHERE route = '{route}' AND state = '{state}'")


@pytest.mark.parametrize("case", [case for case in CASES if case[1] in FAULTS], ids="-".join)
def test_whatever_a_sink_raises_is_a_failed_attempt(scene: Scene, case: tuple[str, str]) -> None:
    name = name_of(*case)
    found = scene.rows(f"SELECT state, attempts, reason FROM deliveries WHERE route = 'rude' AND account = '{name}'")
    assert found == [("pending", 1, FAULTS[case[1]])]


@pytest.mark.parametrize("hook", ["init", "open", "deliver"])
def test_an_unexpected_exception_is_logged_with_its_traceback_and_hook(scene: Scene, hook: str) -> None:
    (logged,) = scene.logged("sink.failed", account=name_of(hook, "bug"))
    assert (logged["hook"], logged["level"]) == ("deliver" if hook == "deliver" else "open", "error")
    assert "Traceback" in logged["exception"]
    assert "rude.py" in logged["exception"]


def test_an_exit_in_a_task_of_a_plugin_does_not_end_the_gateway(scene: Scene) -> None:
    (logged,) = scene.logged("sink.failed", hook="background")
    assert "SystemExit: 7" in logged["exception"]
    assert scene.send(2, name_of("deliver", "background")).code == 200


def test_a_sink_that_stops_the_loop_does_not_end_the_gateway(scene: Scene) -> None:
    wait_until(lambda: scene.logged("loop.stopped"), 60, "the line")
    (logged,) = scene.logged("loop.stopped", level="error")
    assert "loop.stop()" in logged["reason"]
    assert scene.send(3, name_of("deliver", "stop")).code == 200


def test_a_sink_that_blocks_the_loop_is_named(scene: Scene) -> None:
    name = name_of("deliver", "block")
    wait_until(lambda: scene.logged("sink.blocked", account=name), 60, "the line")
    logged = scene.logged("sink.blocked", account=name)[-1]
    assert (logged["route"], logged["sink"], logged["level"]) == ("rude", "rude", "error")
    assert logged["seconds"] >= 0.3
    assert "rude.py:" in logged["place"]
    assert scene.metric("cloudsignal_sink_blocked_seconds_count", account=name) == 1


@pytest.mark.parametrize("does", [*RAISES, "thread", "swallow", "stop"])
def test_a_rude_close_does_not_disturb_a_stop(tmp_path: Path, does: str) -> None:
    stop_in_time(Scene(tmp_path, {"bookshop": {"rude": rudely("close", does), "erp": ERP}}, grace="1s"))


@pytest.mark.parametrize("does", ["thread", "swallow"])
def test_an_attempt_that_does_not_end_does_not_hold_up_a_stop(tmp_path: Path, does: str) -> None:
    scene = Scene(tmp_path, {"bookshop": {"rude": rudely("deliver", does), "erp": ERP}}, grace="1s")
    stop_in_time(scene)
    assert scene.logged("gateway.stopped")
    assert scene.logged("gateway.abandoned")


def stop_in_time(scene: Scene) -> None:
    """Stop a gateway after a delivery; the sinks get the grace time, 5 s after a cancellation, and 5 s to close."""
    with scene.running() as gateway:
        assert scene.send(1).code == 200
        wait_until(lambda: rows(scene, "erp", "delivered"), 60, "the well route")
        began = time.monotonic()
        assert gateway.terminate() == 0
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("does", RAISES)
def test_a_check_names_whatever_a_sink_raises(tmp_path: Path, does: str) -> None:
    scene = Scene(tmp_path, {"bookshop": {"rude": rudely("check", does), "erp": ERP}})
    said = scene.cli("check", "--connect", code=1)
    assert "FAIL bookshop/rude" in said
    assert "ok   bookshop/erp" in said
