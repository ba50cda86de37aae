"""A gateway behind a company's proxy: its sinks call out through it, unless NO_PROXY or the route says otherwise."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.fake_receiver import SECRET, FakeReceiver
from tests.support.forward_proxy import ForwardProxy
from tests.support.payloads import KEY, example, request
from tests.support.process import Gateway

CONFIG = """\
server: {{listen: "127.0.0.1:0"}}
store: {{url: "sqlite:///gateway.db"}}
plugins: [webhook]
tenant: acme
accounts:
  bookshop:
    keys: [{key}]
    routes:
      forward:
        sink: webhook
        options: {{url: "{url}", secrets: "{secret}", allow_private: {allowed}, proxy: {proxy}}}
"""


@pytest.mark.parametrize(
    ("env", "allowed", "proxy", "line"),
    [
        ("HTTP_PROXY", "[127.0.0.1/32]", "true", "CONNECT 127.0.0.1:{port} HTTP/1.1"),
        ("http_proxy", "true", "true", "POST http://127.0.0.1:{port}{path} HTTP/1.1"),
        ("HTTPS_PROXY", "true", "true", ""),
        ("HTTP_PROXY", "true", "false", ""),
        ("HTTP_PROXY NO_PROXY", "true", "true", ""),
    ],
    ids=["guarded", "plain", "of https only", "switched off", "NO_PROXY"],
)
@pytest.mark.gen_test
async def test_a_signal_goes_through_the_proxy_that_the_environment_names(
    tmp_path: Path, env: str, allowed: str, proxy: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    receiver = FakeReceiver()
    receiver.start()
    text = CONFIG.format(key=KEY, url=receiver.hook, secret=SECRET, allowed=allowed, proxy=proxy)
    (tmp_path / "gateway.yaml").write_text(text)
    async with ForwardProxy() as through:
        variables = {name: "127.0.0.0/8" if name == "NO_PROXY" else through.url for name in env.split()}
        await asyncio.to_thread(forward, tmp_path, variables)
    await receiver.stop()
    assert len(receiver.events) == 1
    port, path = receiver.url.rpartition(":")[2], receiver.hook.removeprefix(receiver.url)
    assert through.lines == ([line.format(port=port, path=path)] if line else [])


def forward(folder: Path, env: Mapping[str, str]) -> None:
    """Send a signal, and return when it is delivered."""
    with Gateway(folder, env) as gateway:
        body = request(example("ItemShipped"))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{gateway.url}/signals/bookshop", body, timeout=30) as answer:
            assert answer.status == 200
        gateway.wait_for_log('"outcome":"delivered"')
        assert gateway.terminate() == 0
