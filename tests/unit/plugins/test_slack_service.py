"""Routes of one Slack workspace in a gateway share one rate limit."""

from pathlib import Path

import pytest

from gateway.config import load_config
from gateway.service import Service

CONFIG = """\
server: {listen: "127.0.0.1:0"}
store: {url: "sqlite:///gateway.db"}
plugins: [slack]
accounts:
  bookshop:
    keys: [test-key-of-the-bookshop]
    routes:
      one: {sink: slack, options: {webhook_url: "http://127.0.0.1:9/services/T0/B0/x"}}
      two: {sink: slack, options: {webhook_url: "http://127.0.0.1:9/services/T0/B1/y"}}
  posters:
    keys: [test-key-of-the-posters]
    routes:
      one: {sink: slack, options: {webhook_url: "http://127.0.0.1:9/services/T0/B0/x"}}
      bot: {sink: slack, options: {token: xoxb-1, channel: C012ABCDE}}
"""


@pytest.mark.gen_test
async def test_the_routes_of_a_workspace_have_its_pace_in_common(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    service = Service(load_config(tmp_path / "gateway.yaml"))
    await service.start()
    try:
        sinks = [await runner._opened() for runner in service.dispatcher.runners.values()]
        assert len({id(sink.workspace) for sink in sinks[:3]}) == 1  # type: ignore[attr-defined]
        assert sinks[3].workspace is not sinks[0].workspace  # type: ignore[attr-defined]
    finally:
        await service.stop()
