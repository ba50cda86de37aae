"""The gateway's clock: the wall clock without jumps."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway import clock as clocks
from gateway.clock import MAX_SLEW, Clock, watch_clock

DAY = 86400.0
START = 1_800_000_000.0


class Computer:
    """The two clocks of a computer: one that people may set, and one that only advances."""

    def __init__(self) -> None:
        self.wall = START
        self.steady = 100.0

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def computer() -> Computer:
    return Computer()


@pytest.fixture
def clock(computer: Computer) -> Clock:
    return Clock(lambda: computer.wall, lambda: computer.steady)


def test_it_is_the_wall_clock_while_nobody_sets_that(computer: Computer, clock: Clock) -> None:
    assert clock() == START
    for seconds in (0.0, 0.001, 3.0, DAY):
        computer.pass_time(seconds)
        assert clock() == pytest.approx(computer.wall, abs=1e-6)
    assert clock.ahead() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_jump_is_approached_and_not_followed(computer: Computer, clock: Clock, jump: float) -> None:
    clock()
    computer.wall += jump
    assert clock() == START
    assert clock.ahead() == jump
    computer.pass_time(10)
    assert clock() == START + 10 + (5 if jump > 0 else -5)


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_jump_that_is_taken_back_is_soon_forgotten(computer: Computer, clock: Clock, jump: float) -> None:
    computer.wall += jump
    computer.pass_time(10)
    clock()
    computer.wall -= jump
    computer.pass_time(10)
    assert clock() == computer.wall
    assert clock.ahead() == 0


def test_a_jump_that_stays_is_caught_up_with(computer: Computer, clock: Clock) -> None:
    computer.wall += 60
    computer.pass_time(60 / MAX_SLEW - 1)
    assert clock() < computer.wall
    computer.pass_time(2)
    assert clock() == computer.wall


@given(steps=st.lists(st.tuples(st.floats(0, 1000), st.floats(-DAY, DAY)), max_size=30))
def test_it_never_goes_back_nor_much_faster_than_time(steps: list[tuple[float, float]]) -> None:
    computer = Computer()
    clock = Clock(lambda: computer.wall, lambda: computer.steady)
    last = clock()
    for passed, jump in steps:
        computer.wall += jump
        computer.pass_time(passed)
        now = clock()
        slack = 1e-5  # of a float with ten digits before its point
        assert (1 - MAX_SLEW) * passed - slack <= now - last <= (1 + MAX_SLEW) * passed + slack
        last = now


def test_a_jump_of_the_wall_clock_is_logged_once_and_so_is_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    aheads = iter([0.0, 29.0, 31.0, 40.0, 3.0, 0.0])
    told: list[float] = []

    class Jumps(Clock):
        def ahead(self) -> float:
            return next(aheads)

    monkeypatch.setattr(clocks, "WATCH_INTERVAL", 0)
    with capture_logs() as logs, contextlib.suppress(RuntimeError):  # the end of `aheads` ends the watch
        asyncio.run(watch_clock(Jumps(), told.append))
    assert told == [0.0, 29.0, 31.0, 40.0, 3.0, 0.0]
    assert [(line["event"], line["ahead"]) for line in logs] == [("clock.jumped", 31.0), ("clock.agrees", 3.0)]
