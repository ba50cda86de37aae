"""The apprise sink passes the conformance suite, through Apprise's JSON service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudsignal_apprise import AppriseSink
from gateway.testing import Answer, DoesNotApply, HttpTarget, Request, SinkContract, Target

ONLY_WHETHER = "Apprise says whether a message was taken, and no more"


class Service(HttpTarget):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Any] = []

    def options(self) -> Mapping[str, Any]:
        host = self.url.removeprefix("http://")
        return {"urls": [f"json://gateway:s3cret-8f14e45f@{host}/hook-2c1743a3"]}

    def effects(self) -> Sequence[Any]:
        return list(self.messages)

    def answer(self, request: Request) -> Answer:
        self.messages.append(request.json)
        return Answer(200)

    async def busy(self, after: int | None = None) -> None:
        if after is not None:
            raise DoesNotApply(ONLY_WHETHER)
        await super().busy()

    async def rejecting_deliveries(self) -> None:
        raise DoesNotApply(ONLY_WHETHER)

    async def refusing_credentials(self) -> None:
        raise DoesNotApply(ONLY_WHETHER)


class TestApprise(SinkContract):
    sink = AppriseSink
    duplicates_because = "the services that Apprise knows can't tell that a message comes twice"
    unchecked_because = "no service can be asked without telling it something"

    def make_target(self, folder: Path) -> Target:
        return Service()
