"""A simulated day of orders reaches the file, Slack and Odoo, although the gateway is killed half-way."""

from __future__ import annotations

import asyncio
import csv
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.model import SecretValue, identity_of
from gateway.signal_types import ALERTS, ITEM_SHIPPED
from gateway.simulate import Answer, RetrySchedule, Sender, Target, simulate_orders
from gateway.store import open_store
from gateway.store.contract import Settings
from gateway.store.values import Filter
from tests.support.fake_odoo import FakeOdoo
from tests.support.fake_slack import FakeSlack
from tests.support.payloads import KEY
from tests.support.process import Gateway, free_port

CONFIG = """\
server: {{listen: 127.0.0.1:{port}}}
store: {{url: "sqlite:///gateway.db"}}
plugins: [csv, slack, odoo]
tenant: acme
accounts:
  bookshop:
    keys: [{key}]
    routes:
      export: {{sink: csv, options: {{directory: exports}}}}
      alerts: {{sink: slack, options: {{webhook_url: "{slack}"}}, rate: 50}}
      erp:
        sink: odoo
        options: {{url: "{odoo}", database: demo, api_key: {secret}}}
        retry: {{first: 0.2s, cap: 1s}}
"""


@pytest.mark.gen_test
async def test_a_day_of_orders_survives_a_kill(tmp_path: Path) -> None:
    events = list(simulate_orders(random.Random(5), datetime(2026, 11, 24, tzinfo=UTC), timedelta(days=1), 20))
    sent = {identity_of("bookshop", payload): payload for _, payload in events}
    slack, odoo = FakeSlack(), FakeOdoo()
    slack.start()
    odoo.start()
    for reference in {payload["order_reference"] for payload in sent.values()}:
        odoo.odoo.add_order(reference)
    port = free_port()
    config = CONFIG.format(port=port, key=KEY, slack=slack.webhook, odoo=odoo.url, secret=odoo.key)
    (tmp_path / "gateway.yaml").write_text(config)
    gateway = Gateway(tmp_path)
    await asyncio.to_thread(gateway.start)
    half_way = asyncio.Event()

    def on_answer(answer: Answer) -> None:
        if answer.accepted and sender.summary().accepted >= len(events) // 2:
            half_way.set()

    sender = Sender(
        [Target(f"http://127.0.0.1:{port}/signals/bookshop", SecretValue(KEY))],
        schedule=RetrySchedule(first=0.05, cap=0.5),
        rate=200,
        on_answer=on_answer,
    )
    sending = asyncio.create_task(sender.run(events))
    await half_way.wait()
    await asyncio.to_thread(gateway.kill)
    await asyncio.to_thread(gateway.start)
    summary = await sending
    assert (summary.accepted, summary.given_up) == (len(events), 0)
    await drain(tmp_path)
    assert await asyncio.to_thread(gateway.terminate) == 0
    await slack.stop()
    await odoo.stop()

    with next((tmp_path / "exports").glob("*.csv")).open(newline="") as file:
        rows = Counter(row["identity"] for row in csv.DictReader(file))
    assert rows == dict.fromkeys(sent, 1)
    alerts = [payload for payload in sent.values() if payload["type"] in ALERTS]
    text = "\n".join(str(message) for message in slack.messages)
    assert alerts
    for payload in alerts:
        assert payload["order_reference"] in text
    shipped = [payload for payload in sent.values() if payload["type"] == ITEM_SHIPPED]
    assert shipped
    written = str(odoo.odoo.snapshot())
    for payload in shipped:
        assert payload["tracking"] in written


async def drain(folder: Path) -> None:
    """Wait until nothing is pending. No delivery may be dead."""
    store = open_store(Settings(f"sqlite:///{folder}/gateway.db"))
    while await store.list_deliveries(Filter(state="pending"), 1):
        await asyncio.sleep(0.1)
    assert await store.list_deliveries(Filter(state="dead"), 10) == []
    await store.close()
