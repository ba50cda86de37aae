"""The webhook sink passes the conformance suite, with a receiver that uses the specification's own library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudsignal_webhook import WebhookSink
from gateway.testing import HttpSinkContract, HttpTarget
from tests.support.fake_receiver import SECRET, FakeReceiver


class Receiver(HttpTarget):
    def __init__(self) -> None:
        self.fake = FakeReceiver()
        super().__init__(self.fake)

    def options(self) -> Mapping[str, Any]:
        return {"url": self.fake.hook, "secrets": [SECRET], "allow_private": ["127.0.0.1/32"]}

    def effects(self) -> Sequence[Any]:
        return list(self.fake.events.items())


class TestWebhook(HttpSinkContract):
    sink = WebhookSink
    status_decides = True
    transient_statuses = (408, 409, 423, 425, 429, 500, 501, 502, 503, 504, 507, 599)

    def make_target(self, folder: Path) -> HttpTarget:
        return Receiver()
