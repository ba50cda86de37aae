"""An operator beside a running gateway, on each database: retry, skip and probe act on one pending delivery."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.scene import Scene, wait_until

DATABASES = ("sqlite", "postgres")


@contextmanager
def running(folder: Path, does: str, database: str, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Run a gateway with a route that fails until the file `mended` is there, and is not tried again for an hour."""
    route = f"sink: rude, options: {{hook: deliver, does: {does}}}"
    scene = Scene(folder, {"bookshop": {"erp": route}}, retry="first: 1h, cap: 1h", give_up="7d")
    if database == "postgres":
        config = folder / "gateway.yaml"
        url = request.getfixturevalue("postgres_url")
        config.write_text(config.read_text().replace(f"sqlite:///{scene.store}", url))
    with scene.running():
        yield scene


def states(scene: Scene) -> dict[int, str]:
    return {row["signal"]: row["state"] for row in scene.cli_json("deliveries")}


@pytest.mark.parametrize("database", DATABASES)
def test_a_probe_tries_a_resting_route_now(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> None:
    with running(tmp_path, "refuse", database, request) as scene:
        for number in (1, 2, 3):
            assert scene.send(number, order=str(number)).code == 200
        wait_until(lambda: len(scene.logged("delivery.attempted")) >= 2, 60, "two refusals, which make the route rest")
        said = scene.cli("probe", "bookshop", "erp", "--wait", "60", code=1)
        assert "was tried, and failed: answered 404" in said
        (tmp_path / "mended").touch()
        assert "is delivered" in scene.cli("probe", "bookshop", "erp", "--wait", "60")
        wait_until(lambda: set(states(scene).values()) == {"delivered"}, 60, "all to be delivered")


@pytest.mark.parametrize("database", DATABASES)
def test_a_retry_tries_one_delivery_now_also_on_a_resting_route(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    with running(tmp_path, "refuse", database, request) as scene:
        for number in (1, 2, 3):
            assert scene.send(number, order=str(number)).code == 200
        wait_until(lambda: len(scene.logged("delivery.attempted")) >= 2, 60, "two refusals, which make the route rest")
        (tmp_path / "mended").touch()
        assert "signal 3 is delivered" in scene.cli("retry", "3", "--wait", "60")
        wait_until(lambda: set(states(scene).values()) == {"delivered"}, 60, "all to be delivered")
        attempted = [line["signal"] for line in scene.logged("delivery.attempted", outcome="delivered")]
        assert attempted[0] == 3


@pytest.mark.parametrize("database", DATABASES)
def test_a_delivery_that_waits_for_an_hour_is_tried_now_or_skipped(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    with running(tmp_path, "fail", database, request) as scene:
        for number in (1, 2, 3):
            assert scene.send(number).code == 200
        wait_until(lambda: scene.logged("delivery.attempted"), 60, "the first attempt")
        assert "was tried, and failed: answered 503" in scene.cli("retry", "1", "--wait", "60", code=1)
        assert "waits behind signal 1" in scene.cli("retry", "2", code=1)
        (tmp_path / "mended").touch()
        assert "is skipped" in scene.cli("skip", "1", "--route", "erp", "--why", "made by hand")
        wait_until(lambda: states(scene)[1] == "filtered", 60, "the skipped one")
        wait_until(lambda: states(scene) == {1: "filtered", 2: "delivered", 3: "delivered"}, 60, "the others")
        assert "each is accounted for" in scene.cli("audit")
