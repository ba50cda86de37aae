"""The composed gateway: a failing observer breaks nothing, and a reload reaches the listeners."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway import service
from gateway.config import load_config
from gateway.metrics import Observer

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

    def fail(*values: object) -> None:
        told.set()
        raise ZeroDivisionError

    observer = Observer()
    setattr(observer, event, fail)
    monkeypatch.setattr(service, "PrometheusObserver", lambda: observer)
    (tmp_path / "gateway.yaml").write_text(CONFIG.replace("PATH", str(tmp_path)))
    gateway = service.Service(load_config(tmp_path / "gateway.yaml"))
    asked_to_stop = asyncio.Event()
    with capture_logs() as logs:
        await gateway.start()
        serving = asyncio.ensure_future(gateway.serve(asked_to_stop))
        await told.wait()
        asked_to_stop.set()
        await serving  # raises the error if the observer is not guarded
        await gateway.stop()
    assert ("observer.failed", event) in [(line["event"], line.get("method")) for line in logs]


async def test_a_reload_changes_the_limits_of_connections(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG.replace("PATH", str(tmp_path)))
    gateway = service.Service(load_config(path))
    await gateway.start()
    try:
        place = gateway.listeners.urls[0].removeprefix("http://").split(":")
        path.write_text(path.read_text().replace("127.0.0.1:0", "127.0.0.1:0, idle_timeout: 1s"))
        assert await is_answered(*place)
        await gateway.reload()
        reader, writer = await asyncio.open_connection(*place)
        assert await asyncio.wait_for(reader.read(), 60) == b"", "the idle connection was not closed"
        writer.close()
        assert await is_answered(*place)
    finally:
        await gateway.stop()


async def is_answered(host: str, port: str) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.startswith(b"HTTP/1.1 200")
