"""The contract of a sink that speaks HTTP: that of all sinks, and tests of HTTP's own failures."""

from __future__ import annotations

import email.utils
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

from gateway.model import Kind
from gateway.testing import samples
from gateway.testing.hooks import as_text, next_attempt
from gateway.testing.lookup_contract import try_to_ask
from gateway.testing.sink_contract import REQUESTED_WAIT, SinkContract, expect_hidden, run_check
from gateway.testing.stub import Answer, Fault, Request, ScriptedAnswer, Stub
from gateway.testing.target import HttpTarget
from gateway.testing.verdict import expect


class HttpSinkContract(SinkContract):
    """The tests of a sink whose target is an HttpTarget."""

    transient_statuses: ClassVar[tuple[int, ...]] = (429, 500, 502, 503, 504)
    """Statuses of temporary failures of the target: the sink must retry after them."""

    status_decides: ClassVar[bool] = False
    """True if the sink needs no body: with a status of success the target has taken a delivery (`request_status`)."""

    def make_target(self, folder: Path) -> HttpTarget:
        raise NotImplementedError

    def test_transient_statuses_are_retried(self) -> None:
        async def body() -> None:
            for status in self.transient_statuses:
                await self.after_trouble(failing(Answer(status)), f"answering {status}")

        self.run(body)

    def test_a_broken_connection_is_retried(self) -> None:
        async def body() -> None:
            for fault in (Fault.CLOSE,) if self.status_decides else (Fault.CLOSE, Fault.HALF):
                await self.after_trouble(failing(fault), "breaking connections")

        self.run(body)

    def test_a_broken_body_counts_as_the_sink_says(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                await failing(Fault.HALF)(rig.target)
                (outcome,) = await rig.deliver(self.deliveries()[0])
                wanted = Kind.DELIVERED if self.status_decides else Kind.RETRY
                expect(
                    outcome.kind is wanted,
                    f"status_decides is {self.status_decides}, and the body of a 200 broke off: "
                    f"expected {wanted}, but the outcome is {as_text(outcome)}",
                )

        self.run(body)

    def test_a_wait_may_be_given_as_a_date(self) -> None:
        async def body() -> None:
            async with self.rig() as rig:
                asked_for = email.utils.formatdate(samples.NOW + REQUESTED_WAIT, usegmt=True)
                await failing(Answer(429, b"", {"Retry-After": asked_for}))(rig.target)
                (outcome,) = await rig.deliver(self.deliveries()[0])
                kept = outcome.kind is Kind.RETRY and (outcome.after or 0) >= REQUESTED_WAIT
                expect(
                    kept,
                    f"Retry-After was the date in {REQUESTED_WAIT} s, but the outcome is {as_text(outcome)}",
                )

        self.run(body)

    def test_an_invalid_wait_is_ignored(self) -> None:
        async def body() -> None:
            for text in ("soon", "-1", "", "1e400", "Tue, 99 Nov 2026 08:00:30 GMT"):
                await self.after_trouble(failing(Answer(503, b"", {"Retry-After": text})), f"asking for {text!r}")

        self.run(body)

    def test_a_redirect_is_not_followed(self) -> None:
        async def body() -> None:
            elsewhere = Stub()
            elsewhere.start()
            try:
                for status in (301, 302, 307, 308):
                    async with self.rig() as rig:
                        await failing(Answer(status, b"", {"Location": elsewhere.url}))(rig.target)
                        (outcome,) = await rig.deliver(self.deliveries()[0])
                        expect(outcome.kind is not Kind.DELIVERED, f"an answer of {status} is not a delivery")
                expect(
                    not elsewhere.requests,
                    "a redirect must not be followed: it would send the secrets to another server",
                )
            finally:
                await elsewhere.stop()

        self.run(body)

    def test_a_foreign_error_page_is_not_a_delivery(self) -> None:
        """The page of a captive portal or a proxy is neither a delivery nor an unexpected exception."""

        async def body() -> None:
            for status in (400, 404, 500, 503):
                async with self.rig() as rig:
                    await failing(Answer(status, "<html>Sorry</html>"))(rig.target)
                    (outcome,) = await rig.deliver(self.deliveries()[0])
                    expect(outcome.kind is not Kind.DELIVERED, f"a page with {status} is not a delivery")
                    if outcome.kind is Kind.RETRY:
                        await rig.target.healthy()
                        await rig.wait(outcome.after or 0.0)
                        await self.expect_delivered(rig, next_attempt(self.deliveries()[0]))

        self.run(body)

    def test_a_foreign_page_gives_no_answer_about_orders(self) -> None:
        """The page of a captive portal or a proxy tells nothing about an order."""

        async def body() -> None:
            for status in (200, 302, 404, 500, 503):
                async with self.asking() as rig:
                    await failing(Answer(status, "<html>Sorry</html>"))(rig.target)
                    found = await try_to_ask(rig, self.known_reference())
                    expect(found is None, f"knows must raise an error for a page with {status}, but it is {found!r}")

        self.run(body)

    def test_a_target_that_echoes_the_request_reveals_no_secret(self) -> None:
        async def body() -> None:
            for status in (400, 401, 403, 404, 422, 500, 503):
                async with self.rig() as rig:
                    await failing(echo(status))(rig.target)
                    await rig.deliver(self.deliveries()[0])
                    await run_check(rig)
                    await try_to_ask(rig, self.known_reference())
                    expect_hidden(rig)

        self.run(body)


def failing(plan: ScriptedAnswer) -> Callable[[object], Awaitable[None]]:
    """Return a function that makes an HttpTarget give that answer or fault to each request."""

    async def turn(target: object) -> None:
        assert isinstance(target, HttpTarget)
        target.server.always = plan

    return turn


def echo(status: int) -> ScriptedAnswer:
    """Return an answer that repeats the whole request, as JSON."""

    async def answer(request: Request) -> Answer:
        headers = "\n".join(f"{name}: {value}" for name, value in request.headers.get_all())
        copy = f"{request.path}?{request.query}\n{headers}\n{request.body.decode('utf-8', 'replace')}"
        return Answer(status, {"message": copy, "error": copy, "name": "Error"})

    return answer
