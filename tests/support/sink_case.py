"""The end of a test case that has a sink and a fake target."""

from __future__ import annotations

from gateway.sink import Sink
from tests.support.stub import Stub


class SinkCase:
    """A context with a sink and the fake that it speaks to. A subclass makes both in `__aenter__`."""

    fake: Stub
    sink: Sink

    async def __aexit__(self, *error: object) -> None:
        await self.sink.close()
        await self.fake.stop()
