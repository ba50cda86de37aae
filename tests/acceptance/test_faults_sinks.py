"""Targets that misbehave, one account each on one gateway: senders and other accounts notice nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.scene import ERP, Scene, serving, wait_until
from tests.support.stub import Answer, Fault, Stub

WELL = Answer()


@dataclass(frozen=True)
class Trouble:
    """A target's trouble before it recovers: its behaviour, the reason of each failure, the duration of one (ms), and
    the wait that it causes (s)."""

    planned: Sequence[Answer | str]
    reason: str
    takes: tuple[float, float] = (0, 20_000)
    waits: tuple[float, float] = (0, 0.5)

    @property
    def failures(self) -> int:
        return sum(answer != WELL for answer in self.planned)


TROUBLES = {
    "hangs": Trouble([Fault.HANG], "the target did not answer in time", takes=(1900, 20_000)),
    # The target never stays silent, yet it does not occupy a slot for ever.
    "drips": Trouble([Fault.DRIP], "no result within 3 s", takes=(2900, 20_000)),
    "errs": Trouble([Answer(500)] * 3, "answered 500"),
    "throttles": Trouble([Answer(429)] * 2, "answered 429"),
    "throttles-for-2-s": Trouble([Answer(429, headers={"Retry-After": "2"})], "answered 429", waits=(1.8, 2.0)),
    "throttles-in-words": Trouble([Answer(429, headers={"Retry-After": "a while"})], "answered 429"),
    "closes": Trouble([Fault.CLOSE] * 2, "the connection broke: "),
    "closes-half-way": Trouble([Fault.HALF] * 2, "the connection broke: "),
    "babbles": Trouble([Answer(200, b"babble", {"Content-Encoding": "gzip"})], "the connection broke: "),
    "flaps": Trouble([Answer(503), WELL, Answer(500), WELL, Answer(502), WELL], "answered 50"),
    "is-down": Trouble([Answer(503)] * 7, "answered 503"),
}


@dataclass
class Fair:
    """A gateway with one target per account."""

    scene: Scene
    targets: dict[str, Stub]

    def delivered(self, account: str) -> bool:
        states = self.scene.rows(f"SELECT state FROM deliveries WHERE account = '{account}'")
        return set(states) == {("delivered",)}

    def attempts(self, account: str, outcome: str) -> list[dict[str, Any]]:
        return self.scene.logged("delivery.attempted", account=account, outcome=outcome)


@pytest.fixture(scope="module")
def fair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fair]:
    targets = {name: Stub() for name in TROUBLES}
    with serving(*targets.values()):
        routes = {name: {"shop": f'sink: post, options: {{url: "{stub.url}/in"}}'} for name, stub in targets.items()}
        scene = Scene(tmp_path_factory.mktemp("fair"), {"bookshop": {"erp": ERP}, **routes})
        with scene.running():
            yield Fair(scene, targets)


@pytest.mark.parametrize("name", TROUBLES)
def test_a_target_gets_everything_in_order_after_it_recovers(fair: Fair, name: str) -> None:
    trouble, scene, target = TROUBLES[name], fair.scene, fair.targets[name]
    target.faults.extend(trouble.planned)
    for number in range(3):
        assert scene.send(number, name).code == 200
    wait_until(lambda: fair.delivered(name), 60, "all to be delivered")

    ids = [request.json["id"] for request in target.requests]
    assert len(ids) == 3 + trouble.failures
    assert len(set(ids)) == 3
    assert ids == sorted(ids)  # one order: no delivery has overtaken another
    assert_logged(fair, name)
    assert_counted(scene, name)
    assert scene.ready()[0] == 200  # signals are accepted all the same


def assert_logged(fair: Fair, name: str) -> None:
    trouble = TROUBLES[name]
    # The log keeps the order of events: with the last delivery, all before it is there.
    wait_until(lambda: len(fair.attempts(name, "delivered")) == 3, 60, "the log to tell of each delivery")
    failed = fair.attempts(name, "retry")
    assert len(failed) == trouble.failures
    for line in failed:
        assert line["level"] == "warning"
        assert line["reason"].startswith(trouble.reason)
        assert trouble.takes[0] <= line["ms"] <= trouble.takes[1]
        assert trouble.waits[0] <= line["retry_in"] <= trouble.waits[1]
    # Five failures in a row open the breaker; a flapping target does not.
    ask = fair.scene.logged if name == "is-down" else fair.scene.logged_so_far
    told = [bool(ask(event, account=name)) for event in ("route.opened", "route.closed")]
    assert told == [name == "is-down"] * 2


def assert_counted(scene: Scene, name: str) -> None:
    outcomes = {"retry": TROUBLES[name].failures, "delivered": 3}
    for outcome, count in outcomes.items():
        labels = {"account": name, "outcome": outcome}
        wait_until(lambda n=count, by=labels: scene.metric("cloudsignal_attempt_seconds_count", **by) == n, 60, outcome)


# -- name resolution


NAMED = 'sink: post, options: {{url: "http://{}.invalid:{}"}}'


@pytest.mark.parametrize("names", ["unknown", "hang"])
def test_names_that_can_not_be_resolved_for_a_while(tmp_path: Path, names: str) -> None:
    """More routes hang in name resolution than there are shared threads. Files and answers are not delayed."""
    target = Stub()
    with serving(target):
        port = target.url.rpartition(":")[2]
        routes = {f"shop{number}": NAMED.format(f"shop{number}", port) for number in range(40)}
        scene = Scene(tmp_path, {"bookshop": {"erp": ERP, **routes}})
        scene.world.set(names=names)
        with scene.running():
            for number in (1, 2):
                scene.send(number)
                wait_until(lambda: len(scene.recorded()) == number, 60, "the file")  # noqa: B023
            says = "no result within 3 s" if names == "hang" else "the target's name can't be resolved"

            def failed() -> set[str]:
                return {line["route"] for line in scene.logged("delivery.attempted", outcome="retry", reason=says)}

            # At least once: an attempt that times out while its name resolves may arrive and still be cancelled.
            wait_until(lambda: failed() == set(routes), 60, "the log to tell of each")
            assert scene.ready()[0] == 200
            scene.world.set(names="known")
            scene.check_custody()
        assert len(target.requests) == 2 * len(routes)


def test_a_shutdown_while_names_are_not_resolved(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {"bookshop": {"erp": ERP, "shop": NAMED.format("shop", 80)}}, grace="0.2s")
    scene.world.set(names="hang")
    with scene.running() as gateway:
        scene.send(1)
        wait_until(lambda: len(scene.rows("SELECT 1 FROM deliveries WHERE lease IS NOT NULL")) == 1, 60, "an attempt")
        assert gateway.terminate() == 0
    assert scene.logged("delivery.attempted", outcome="released")
