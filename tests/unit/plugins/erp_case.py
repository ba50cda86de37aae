"""An ERP's sink on a fake of its server, with a clock that stands still."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, Self

from gateway.sink import Context, RetryLater, Sink
from tests.support import factory
from tests.support.sink_case import SinkCase
from tests.support.stub import InterruptibleStub

NOW = factory.AT.timestamp() + 60


class ErpCase(SinkCase, ABC):
    """`async with Case(**options) as case`: `case.fake` is the server, `case.sink` the sink, `case.now` the time.

    An option that is None is left out.
    """

    sink_class: ClassVar[type[Sink]]

    def __init__(self, fake: InterruptibleStub, options: Mapping[str, Any]) -> None:
        self.fake: Any = fake
        self.options = options
        self.now = NOW

    @abstractmethod
    def default_options(self) -> Mapping[str, Any]:
        """Return options with which the sink reaches the started server."""

    async def __aenter__(self) -> Self:
        self.fake.start()
        given = {**self.default_options(), **self.options}
        options = self.sink_class.schema()({name: value for name, value in given.items() if value is not None})
        context = Context(account="bookshop", tenant="acme", route="erp", now=lambda: self.now)
        self.sink: Any = self.sink_class(options, context)
        await self.sink.open()
        return self

    async def deliver(self, type: str, **fields: Any) -> None:
        """Deliver a signal of that type about order PO-1001, line 1, unless `fields` say otherwise."""
        await self.sink.deliver(factory.make_delivery(type, **fields))

    async def deliver_cut(self, at: int, after: bool, type: str, **fields: Any) -> None:
        """Deliver, and cut the connection at the attempt's request `at`, before or after its work."""
        self.fake.cut_at(at, after)
        with suppress(RetryLater):
            await self.deliver(type, **fields)
        assert not self.fake.faults
