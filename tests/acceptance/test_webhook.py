"""A running gateway forwards a signal that the specification's verifier accepts, and calls no internal address."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

import orjson
import pytest
from standardwebhooks import Webhook

from tests.support.fake_receiver import SECRET, FakeReceiver
from tests.support.payloads import KEY, example, request
from tests.support.process import Gateway, run_cli

CONFIG = """\
server: {listen: "127.0.0.1:0"}
store: {url: "sqlite:///gateway.db"}
plugins: [webhook]
tenant: acme
accounts:
  bookshop:
    keys: [KEY]
    routes:
      forward: {sink: webhook, options: {url: "HOOK", secrets: !env SECRET, allow_private: [127.0.0.1/32]}}
      within: {sink: webhook, options: {url: "HOOK", secrets: !env SECRET}}
"""


@pytest.mark.gen_test
async def test_a_signal_is_forwarded_and_verified(tmp_path: Path) -> None:
    receiver = FakeReceiver()
    receiver.start()
    (tmp_path / "gateway.yaml").write_text(CONFIG.replace("KEY", KEY, 1).replace("HOOK", receiver.hook))
    checked = await asyncio.to_thread(forward, tmp_path)
    await receiver.stop()
    (posted,) = [each for each in receiver.requests if each.method == "POST"]
    event = Webhook(SECRET).verify(posted.body, dict(posted.headers.get_all()))
    assert event["data"]["payload"] == example("ItemShipped")
    found = {line["route"]: line for line in map(orjson.loads, checked.splitlines()) if "route" in line}
    assert found["forward"]["ok"]
    assert not found["within"]["ok"]
    assert "not one that this route may connect to" in found["within"]["details"][0]


def forward(folder: Path) -> str:
    """Send a signal, wait for both routes, and return the output of `check --connect`."""
    env = {"SECRET": SECRET}
    with Gateway(folder, env) as gateway:
        body = request(example("ItemShipped"))
        with urllib.request.urlopen(f"{gateway.url}/signals/bookshop", body, timeout=30) as answer:
            assert answer.status == 200
        gateway.wait_for_log('"outcome":"delivered"')
        gateway.wait_for_log('"outcome":"misconfigured"')
        assert gateway.terminate() == 0
    return run_cli("check", "--connect", "--json", "--config", "gateway.yaml", cwd=folder, env=env).stdout
