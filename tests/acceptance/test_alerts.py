"""A late order and a silent client reach Slack once, and are cleared once, though the gateway is killed meanwhile."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support import recorder
from tests.support.fake_slack import FakeSlack
from tests.support.payloads import KEY, example, request
from tests.support.process import ROOT, Gateway, run_cli
from tests.support.scene import fetch, serving, wait_until

CONFIG = """\
server: {{listen: "127.0.0.1:0"}}
store: {{url: "sqlite:///gateway.db"}}
plugins: [slack, recorder]
watches:
  not-shipped: {{after: ItemProduced, expect: ItemShipped, within: 1s}}
  quiet: {{silent_for: 5s}}
accounts:
  bookshop:
    keys: [{key}]
    routes:
      people: {{sink: slack, options: {{webhook_url: "{webhook}"}}}}
      erp: {{sink: recorder, signals: [ItemShipped], options: {{file: erp.jsonl}}}}
"""


def shown(slack: FakeSlack) -> Counter[tuple[str, str, str]]:
    """Return how often Slack shows each alert: its icon, its watch, its number."""
    found: Counter[tuple[str, str, str]] = Counter()
    for message in slack.messages:
        icon, watch = re.match(r"(\S+) Alert ([a-z-]+)", message["text"]).groups()  # type: ignore[union-attr]
        found[icon, watch, re.search(r"\*Alert\*\\n(\d+)", repr(message))[1]] += 1  # type: ignore[index]
    return found


def states(slack: FakeSlack) -> set[tuple[str, str]]:
    return {(icon, watch) for icon, watch, _ in shown(slack)}


def pending(folder: Path, env: dict[str, str]) -> str:
    words = ("deliveries", "--state", "pending", "--json", "--config", "gateway.yaml")
    return run_cli(*words, cwd=folder, env=env).stdout


def configured(folder: Path, slack: FakeSlack, env: dict[str, str]) -> Gateway:
    (folder / "gateway.yaml").write_text(CONFIG.format(key=KEY, webhook=slack.webhook))
    return Gateway(folder, env)


def test_lateness_and_silence_reach_slack_once_over_a_kill(tmp_path: Path) -> None:
    slack = FakeSlack()
    recorder.install(tmp_path / "path")
    env = {"PYTHONPATH": f"{ROOT}:{tmp_path / 'path'}", "TEST_ALERT_ROUNDS": "0.2"}
    with serving(slack), configured(tmp_path, slack, env) as gateway:

        def send(type: str, **fields: Any) -> None:
            answer = fetch(f"{gateway.url}/signals/bookshop", request(example(type, **fields), KEY))
            assert answer.code == 200

        send("ItemProduced", order="1", item="1")
        raised = {("⚠️", "not-shipped"), ("⚠️", "quiet")}
        wait_until(lambda: states(slack) == raised, 120, "both alerts in Slack")
        wait_until(lambda: pending(tmp_path, env) == "", 120, "their results")  # else a kill may repeat a message
        gateway.kill()

        gateway.start()
        send("ItemShipped", order="1", item="1")
        cleared = {("✅", "not-shipped"), ("✅", "quiet")}
        numbers = itertools.count(2)

        def both_cleared() -> bool:
            # Signals go on coming: on a slow machine, the next silence could begin before anybody looked.
            send("ItemProduce", order="2", item=str(next(numbers)))
            return cleared <= states(slack)

        wait_until(both_cleared, 120, "both ticks in Slack")
        assert gateway.terminate() == 0
        assert {*shown(slack).values()} == {1}
        assert sum(watch == "not-shipped" for _, watch, _ in shown(slack)) == 2
