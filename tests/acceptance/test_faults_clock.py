"""The computer's clock jumps by a day: no delivery waits for a day, and none is given up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.scene import ERP, Scene, serving, wait_until
from tests.support.stub import Answer, Stub

DAY = 86400


class Target(Stub):
    """A target that accepts everything or answers 503."""

    works = False

    def answer(self, request: object) -> Answer:
        return Answer(200 if self.works else 503)


@contextmanager
def targeted(folder: Path) -> Iterator[tuple[Scene, Target]]:
    """Return a gateway, not yet started, with a route to the recorder and one to a target."""
    target = Target()
    with serving(target):
        shop = f'sink: post, options: {{url: "{target.url}"}}'
        yield Scene(folder, {"bookshop": {"erp": ERP, "shop": shop}}), target


def wait_for_failures(scene: Scene, most: int) -> None:
    tried = len(scene.logged("delivery.attempted", outcome="retry"))
    wait_until(lambda: len(scene.logged("delivery.attempted", outcome="retry")) >= tried + most, 60, "more attempts")


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_clock_that_jumps_and_comes_back_under_a_running_gateway(tmp_path: Path, jump: int) -> None:
    with targeted(tmp_path) as (scene, target), scene.running():
        scene.send(1)
        wait_for_failures(scene, 2)
        for number, clock in enumerate((jump, 0), 2):
            scene.world.set(clock=clock)
            scene.send(number)
            wait_until(lambda: sum(scene.recorded().values()) == number, 60, "the delivery")  # noqa: B023
            wait_for_failures(scene, 2)
            if clock:
                wait_until(lambda: scene.logged("clock.jumped", level="warning"), 60, "the log to tell")
                assert abs(scene.metric("cloudsignal_clock_ahead_seconds") - jump) < 60
        wait_until(lambda: scene.logged("clock.agrees"), 60, "the log to tell")
        assert scene.ready()[0] == 200
        target.works = True
        scene.check_custody()


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_clock_that_stays_wrong(tmp_path: Path, jump: int) -> None:
    with targeted(tmp_path) as (scene, target), scene.running():
        scene.send(1)
        wait_for_failures(scene, 1)
        scene.world.set(clock=jump)
        for number in (2, 3):
            scene.send(number)
        wait_for_failures(scene, 2)
        target.works = True
        scene.check_custody()


def test_deliveries_of_a_run_with_a_fast_clock_are_delivered_by_the_next_run(tmp_path: Path) -> None:
    with targeted(tmp_path) as (scene, target):
        scene.world.set(clock=DAY)
        with scene.running():
            # In a lane, each delivery becomes due only after the one before it.
            for number in (1, 2, 3):
                scene.send(number)
            wait_for_failures(scene, 6)  # the route's breaker is open until a time of tomorrow
        scene.world.set(clock=0)
        target.works = True
        with scene.running():
            scene.send(4)
            scene.check_custody()
        (recovered,) = scene.logged("gateway.recovered")
        assert recovered["reset"] == 1
        assert [request.json["id"] for request in target.requests][-4:] == [1, 2, 3, 4]


def test_a_run_with_a_clock_behind_the_last_run(tmp_path: Path) -> None:
    with targeted(tmp_path) as (scene, target):
        with scene.running():
            scene.send(1)
            wait_for_failures(scene, 1)
        scene.world.set(clock=-DAY)
        target.works = True
        with scene.running():
            scene.send(2)
            scene.check_custody()
