"""Attacks on the listeners by strangers. A healthy sender beside them gets its answers, and operators get theirs."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from tests.support.attacker import pipelining
from tests.support.scene import Scene

SIGNALS = 20
"""Signals that the healthy sender posts, one after the other, alone and under the attack."""

PIPELINED = {
    "404": b"GET / HTTP/1.1\r\nHost:a\r\n\r\n",
    "401": b"POST /signals/x HTTP/1.1\r\nHost:a\r\nContent-Length:2\r\n\r\n{}",
    "healthz": b"GET /healthz HTTP/1.1\r\nHost:a\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nHost:a\r\nUpgrade:a\r\nConnection:upgrade\r\n\r\n",
}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def answer_times(scene: Scene, first: int) -> tuple[float, float]:
    """Return the median seconds to the answer of a signal, and to that of /readyz."""
    signals, readiness = [], []
    for number in range(first, first + SIGNALS):
        started = time.perf_counter()
        assert scene.send(number).code == 200
        sent = time.perf_counter()
        assert scene.ready()[0] == 200
        signals.append(sent - started)
        readiness.append(time.perf_counter() - sent)
    return statistics.median(signals), statistics.median(readiness)


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("request_bytes", PIPELINED.values(), ids=PIPELINED)
def test_a_connection_that_pipelines_starves_nobody(scene: Scene, request_bytes: bytes, connections: int) -> None:
    """The ratio is generous: measured are 3 to 10. Without taking turns it is over 1,000."""
    with scene.running() as gateway:
        alone = answer_times(scene, 0)
        with pipelining(gateway.url, request_bytes, connections):
            attacked = answer_times(scene, SIGNALS)
        assert attacked[0] < 50 * alone[0] + 0.2
        assert attacked[1] < 50 * alone[1] + 0.2
        scene.check_custody()
    assert "Traceback" not in gateway.log.read_text()
