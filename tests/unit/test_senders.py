"""Who waits for an answer, and whether deliveries give way."""

import asyncio

import pytest

from gateway import senders
from gateway.senders import CROWD, CROWD_LASTS, IN_VAIN, RECENT, Senders

pytestmark = pytest.mark.gen_test


class Clock:
    at = 100.0

    def __call__(self) -> float:
        return self.at


async def test_some_are_about_until_none_has_come_for_a_while() -> None:
    clock = Clock()
    some = Senders(clock)
    assert not some.about
    some.come()
    clock.at += 10 * RECENT
    assert some.about
    some.go()
    assert not some.about
    some.come()
    some.go()
    assert some.about
    clock.at += RECENT
    assert not some.about


async def test_many_at_once_are_a_crowd_for_a_while() -> None:
    clock = Clock()
    some = Senders(clock)
    for _ in range(CROWD - 1):
        some.come()
    assert not some.crowded
    some.come()
    assert some.crowded
    for _ in range(CROWD):
        some.go()
    assert some.crowded
    clock.at += 2 * CROWD_LASTS
    assert not some.crowded


async def test_a_lull_begins_when_the_last_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "LULL", 1000)
    some = Senders()
    await some.lull()
    some.come()
    some.come()
    waits = [asyncio.ensure_future(wait()) for wait in (some.lull, some.gone)]
    some.go()
    await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits)
    some.go()
    await asyncio.gather(*waits)


async def test_a_lull_is_not_waited_for_without_end_nor_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(senders, "LULL", 0)
    some = Senders(clock)
    some.come()
    await some.lull()
    monkeypatch.setattr(senders, "LULL", 1000)
    await some.lull()
    clock.at += 2 * IN_VAIN
    waits = asyncio.ensure_future(some.lull())
    await asyncio.sleep(0)
    assert not waits.done()
    some.go()
    await waits
    some.come()
    gone = asyncio.ensure_future(some.gone())
    await asyncio.sleep(0)
    assert not gone.done()
    some.go()
    await gone
