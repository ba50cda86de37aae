"""The composed gateway: a failing observer breaks nothing."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway import metrics
from gateway.config import load_config
from gateway.service import Service

pytestmark = pytest.mark.gen_test

CONFIG = """
server: {listen: 127.0.0.1:0}
store: {url: "sqlite:///PATH/gateway.db"}
accounts: {bookshop: {keys: [a-key-for-the-test]}}
"""


@pytest.mark.parametrize("event", ["clock_ahead", "config_loaded"])
async def test_a_failing_observer_does_not_end_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    told = asyncio.Event()

    def fail(self: metrics.Observer, *values: object) -> None:
        told.set()
        raise ZeroDivisionError

    monkeypatch.setattr(metrics.PrometheusObserver, event, fail)
    (tmp_path / "gateway.yaml").write_text(CONFIG.replace("PATH", str(tmp_path)))
    service = Service(load_config(tmp_path / "gateway.yaml"))
    asked_to_stop = asyncio.Event()
    with capture_logs() as logs:
        await service.start()
        serving = asyncio.ensure_future(service.serve(asked_to_stop))
        await told.wait()
        asked_to_stop.set()
        await serving  # raises the error if the observer is not guarded
        await service.stop()
    assert ("observer.failed", event) in [(line["event"], line.get("told")) for line in logs]
