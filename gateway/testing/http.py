"""The contract of a sink that speaks HTTP: the sink's, and what HTTP's own troubles add."""

from __future__ import annotations

import email.utils
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

from gateway.model import Kind
from gateway.testing import samples
from gateway.testing.base import again, tell
from gateway.testing.contract import ASKED, SinkContract, asked, expect_hidden
from gateway.testing.stub import Answer, Fault, Plan, Request, Stub
from gateway.testing.target import HttpTarget
from gateway.testing.verdict import expect


class HttpSinkContract(SinkContract):
    """As SinkContract, with a target that is an HttpTarget."""

    passing: ClassVar[tuple[int, ...]] = (429, 500, 502, 503, 504)
    """Statuses that the target answers while it is not well, and that pass by themselves."""

    def make_target(self, folder: Path) -> HttpTarget:
        raise NotImplementedError

    def test_statuses_that_pass_are_tried_again(self) -> None:
        async def body() -> None:
            for status in self.passing:
                await self.after_trouble(failing(Answer(status)), f"answering {status}")

        self.run(body)

    def test_a_connection_that_breaks_is_tried_again(self) -> None:
        async def body() -> None:
            for fault in (Fault.CLOSE, Fault.HALF):
                await self.after_trouble(failing(fault), "breaking connections")

        self.run(body)

    def test_a_wait_may_be_given_as_a_date(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                asked_for = email.utils.formatdate(samples.NOW + ASKED, usegmt=True)
                await failing(Answer(429, b"", {"Retry-After": asked_for}))(rig.target)
                (outcome,) = await rig.deliver(self.deliveries()[0])
                kept = outcome.kind is Kind.RETRY and (outcome.after or 0) >= ASKED
                expect(kept, f"Retry-After was the date {ASKED} s on, and the sink says: {tell(outcome)}")

        self.run(body)

    def test_a_wait_that_makes_no_sense_is_no_trouble(self) -> None:
        async def body() -> None:
            for text in ("soon", "-1", "", "1e400", "Tue, 99 Nov 2026 08:00:30 GMT"):
                await self.after_trouble(failing(Answer(503, b"", {"Retry-After": text})), f"asking for {text!r}")

        self.run(body)

    def test_a_redirect_takes_nothing_elsewhere(self) -> None:
        async def body() -> None:
            elsewhere = Stub()
            elsewhere.start()
            try:
                for status in (301, 302, 307, 308):
                    async with self.rig() as rig:
                        await failing(Answer(status, b"", {"Location": elsewhere.url}))(rig.target)
                        (outcome,) = await rig.deliver(self.deliveries()[0])
                        expect(outcome.kind is not Kind.DELIVERED, f"an answer of {status} is no delivery")
                expect(not elsewhere.requests, "a redirect must not be followed: it would take the secrets elsewhere")
            finally:
                await elsewhere.stop()

        self.run(body)

    def test_a_page_that_is_not_the_targets_is_no_delivery_gone_wrong(self) -> None:
        """A captive portal's page, a proxy's: no exception that nobody expects."""

        async def body() -> None:
            for status in (400, 404, 500, 503):
                async with self.rig() as rig:
                    await failing(Answer(status, "<html>Sorry</html>"))(rig.target)
                    (outcome,) = await rig.deliver(self.deliveries()[0])
                    expect(outcome.kind is not Kind.DELIVERED, f"a page with {status} is no delivery")
                    if outcome.kind is Kind.RETRY:
                        await rig.target.healthy()
                        await rig.wait(outcome.after or 0.0)
                        await self.expect_delivered(rig, again(self.deliveries()[0]))

        self.run(body)

    def test_a_target_that_tells_all_it_was_sent_tells_no_secret(self) -> None:
        async def body() -> None:
            for status in (400, 401, 403, 404, 422, 500, 503):
                async with self.rig() as rig:
                    await failing(echo(status))(rig.target)
                    await rig.deliver(self.deliveries()[0])
                    await asked(rig)
                    expect_hidden(rig)

        self.run(body)


def failing(plan: Plan) -> Callable[[object], Awaitable[None]]:
    """What turns an HttpTarget to that answer or fault."""

    async def turn(target: object) -> None:
        assert isinstance(target, HttpTarget)
        target.server.always = plan

    return turn


def echo(status: int) -> Plan:
    """Answers with all that it was sent, as JSON and as a careless page."""

    async def answer(request: Request) -> Answer:
        headers = "\n".join(f"{name}: {value}" for name, value in request.headers.get_all())
        told = f"{request.path}?{request.query}\n{headers}\n{request.body.decode('utf-8', 'replace')}"
        return Answer(status, {"message": told, "error": told, "name": "Error"})

    return answer
