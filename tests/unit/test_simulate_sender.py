"""The simulated sender sends and retries as the vendor does, and counts the answers. The clock is a fake one."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.errors import GatewayError
from gateway.model import SecretValue
from gateway.simulate import Answer, Event, RetrySchedule, Sender, Summary, Target, percentile
from tests.support.payloads import KEY
from tests.support.stub import Answer as Reply
from tests.support.stub import Fault, Request, Stub

pytestmark = pytest.mark.gen_test

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
PATH = "/signals/bookshop"


class Clock:
    """A clock that moves only by the sleeps asked of it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@asynccontextmanager
async def running(*faults: Any, ssl_options: Any = None) -> AsyncIterator[Stub]:
    """An endpoint that answers 200 after the faults."""
    stub = Stub()
    stub.faults.extend(faults)
    stub.start(ssl_options=ssl_options)
    try:
        yield stub
    finally:
        await stub.stop()


def target(stub: Stub, path: str = PATH, key: str = KEY) -> Target:
    return Target(stub.url + path, SecretValue(key))


def make_sender(stub: Stub, clock: Clock | None = None, **options: Any) -> Sender:
    clock = clock or Clock()
    return Sender([target(stub)], sleep=clock.sleep, clock=clock, **options)


def event(order: str = "1", step: int = 0) -> Event:
    return AT, {"type": "ItemPacked", "order": order, "step": str(step)}


def steps(stub: Stub, order: str = "1") -> list[int]:
    return [int(request.json["step"]) for request in stub.requests if request.json["order"] == order]


# -- what is sent ----------------------------------------------------------------------------------


async def test_a_signal_is_posted_as_json_with_its_key_in_the_body() -> None:
    async with running() as stub:
        await make_sender(stub).run([event()])
    (request,) = stub.requests
    assert (request.method, request.path) == ("POST", PATH)
    assert request.headers["Content-Type"] == "application/json"
    assert request.json == {"apikey": KEY, "type": "ItemPacked", "order": "1", "step": "0"}


async def test_the_events_are_left_as_they_were() -> None:
    events = [event()]
    async with running() as stub:
        await make_sender(stub).run(events)
    assert events == [event()]


async def test_nothing_to_send() -> None:
    async with running() as stub:
        summary = await make_sender(stub).run([])
    assert summary == Summary(0, 0, 0, 0, {}, 0.0, 0.0, 0.0)
    assert summary.rate == 0.0


# -- retries ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [200, 204])
async def test_200_and_204_are_success(code: int) -> None:
    clock = Clock()
    async with running(Reply(code)) as stub:
        summary = await make_sender(stub, clock).run([event()])
    assert (summary.accepted, summary.codes, clock.slept) == (1, {str(code): 1}, [])


@pytest.mark.parametrize("code", [201, 301, 400, 401, 404, 405, 413, 429, 500, 503])
async def test_every_other_answer_is_retried(code: int) -> None:
    async with running(Reply(code, headers={"Location": "/elsewhere"})) as stub:
        summary = await make_sender(stub).run([event()])
    assert [request.path for request in stub.requests] == [PATH, PATH]
    assert stub.requests[0].body == stub.requests[1].body
    assert (summary.signals, summary.accepted, summary.attempts) == (1, 1, 2)
    assert summary.codes == {"200": 1, str(code): 1}


@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.HALF])
async def test_a_broken_connection_is_no_answer_and_retried(fault: str) -> None:
    async with running(fault) as stub:
        summary = await make_sender(stub).run([event()])
    assert summary.codes == {"200": 1, "no answer": 1}


async def test_an_endpoint_that_hangs_gives_no_answer() -> None:
    async with running(Fault.HANG) as stub:
        summary = await make_sender(stub, timeout=0.5).run([event()])
    assert summary.codes == {"200": 1, "no answer": 1}


async def test_an_endpoint_that_is_not_there_is_given_up_after_the_last_attempt() -> None:
    async with running() as stub:
        gone = stub.url
    sender = Sender([Target(gone, SecretValue(KEY))], schedule=RetrySchedule(attempts=3), sleep=Clock().sleep)
    summary = await sender.run([event()])
    assert (summary.accepted, summary.given_up, summary.codes) == (0, 1, {"no answer": 3})
    assert (summary.p50, summary.p99) == (0.0, 0.0)


async def test_the_vendor_gives_up_after_100_attempts() -> None:
    async with running(*[Reply(503)] * 200) as stub:
        summary = await make_sender(stub).run([event()])
    assert (summary.given_up, summary.attempts, len(stub.requests)) == (1, 100, 100)


async def test_waits_grow_up_to_a_cap() -> None:
    clock = Clock()
    async with running(*[Reply(503)] * 4) as stub:
        await make_sender(stub, clock, schedule=RetrySchedule(first=1.0, factor=3.0, cap=10.0)).run([event()])
    assert clock.slept == [1.0, 3.0, 9.0, 10.0]


def test_the_wait_has_a_cap_for_any_number_of_attempts() -> None:
    assert RetrySchedule().wait(10**6) == RetrySchedule().cap


# -- order, rate, connections ----------------------------------------------------------------------


async def test_an_orders_next_signal_waits_for_the_one_before() -> None:
    async with running(Reply(503), Fault.CLOSE) as stub:
        await make_sender(stub).run([event(step=1), event(step=2), event(step=3)])
    assert steps(stub) == [1, 1, 1, 2, 3]


async def test_after_a_signal_given_up_the_order_goes_on() -> None:
    async with running(Reply(400), Reply(400)) as stub:
        summary = await make_sender(stub, schedule=RetrySchedule(attempts=2)).run([event(step=1), event(step=2)])
    assert steps(stub) == [1, 1, 2]
    assert (summary.accepted, summary.given_up) == (1, 1)


async def test_an_order_that_waits_holds_up_no_other() -> None:
    others = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await others.wait()

    def on_answer(answer: Answer) -> None:
        if answer.payload["order"] == "2" and answer.payload["step"] == "9":
            others.set()

    async with running(Reply(503)) as stub:
        sender = Sender([target(stub)], connections=1, sleep=sleep, on_answer=on_answer)
        summary = await sender.run([event("1"), *(event("2", step) for step in range(10))])
    assert summary.accepted == 11
    assert stub.requests[-1].json["order"] == "1"


async def test_signals_start_at_the_rate() -> None:
    clock = Clock()
    async with running() as stub:
        await make_sender(stub, clock, rate=4.0).run(event(str(n)) for n in range(9))
    assert clock.now == pytest.approx(1002.0)
    assert clock.slept == pytest.approx([0.25] * 8)


async def test_a_sender_that_fell_behind_catches_up_by_a_second_at_most() -> None:
    clock = Clock()

    def events() -> Iterator[Event]:
        yield event("0")
        clock.now += 60
        for n in range(1, 7):
            yield event(str(n))

    async with running() as stub:
        await make_sender(stub, clock, rate=2.0).run(events())
    assert clock.slept == pytest.approx([0.5, 0.5, 0.5])


async def test_so_many_requests_run_at_once_as_there_are_connections() -> None:
    pairs, running_now, most = asyncio.Barrier(2), 0, 0

    async def answer(request: Request) -> Reply:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        await pairs.wait()
        running_now -= 1
        return Reply()

    async with running(*[answer] * 6) as stub:
        summary = await make_sender(stub, connections=2).run(event(str(n)) for n in range(6))
    assert (summary.accepted, most) == (6, 2)


async def test_a_silent_endpoint_does_not_make_the_sender_take_in_everything() -> None:
    class Narrow(Sender):
        MAX_IN_FLIGHT = 3

    taken, answered = 0, 0

    def events() -> Iterator[Event]:
        nonlocal taken
        for n in range(20):
            taken += 1
            assert taken - answered <= Narrow.MAX_IN_FLIGHT + 1  # one is in the sender's hand
            yield event(str(n % 2), n)

    def on_answer(answer: Answer) -> None:
        nonlocal answered
        answered += answer.last

    async with running() as stub:
        await Narrow([target(stub)], on_answer=on_answer).run(events())
    assert answered == 20


# -- several endpoints -----------------------------------------------------------------------------


async def test_orders_are_spread_over_the_targets_each_with_its_own_key() -> None:
    async with running() as stub:
        targets = [target(stub, "/signals/a", "key-of-a"), target(stub, "/signals/b", "key-of-b")]
        sender = Sender(targets)
        await sender.run([event(str(n), step) for step in range(2) for n in range(40)])
    sent = {(request.path, request.json["apikey"]) for request in stub.requests}
    assert sent == {("/signals/a", "key-of-a"), ("/signals/b", "key-of-b")}
    assert len({(request.path, request.json["order"]) for request in stub.requests}) == 40
    assert 10 < sum(request.path == "/signals/a" for request in stub.requests) / 2 < 30


@pytest.mark.parametrize(
    "url", ["", "bookshop", "ftp://localhost/signals/a", "http://", "http:///signals/a", "http://h:99999/", "http://["]
)
def test_a_target_must_be_a_url_of_http(url: str) -> None:
    with pytest.raises(GatewayError, match="expected an endpoint's URL, such as https://"):
        Target(url, SecretValue(KEY))


def test_a_sender_needs_a_target() -> None:
    with pytest.raises(GatewayError, match="at least one endpoint"):
        Sender([])


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_https_with_a_ca_of_ones_own(authority: trustme.CA, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with running(ssl_options=server_tls(authority)) as stub:
        summary = await make_sender(stub, ca_file=tmp_path / "ca.pem").run([event()])
    assert summary.codes == {"200": 1}


async def test_https_without_it_is_not_trusted(authority: trustme.CA) -> None:
    async with running(ssl_options=server_tls(authority)) as stub:
        summary = await make_sender(stub, schedule=RetrySchedule(attempts=1)).run([event()])
    assert (summary.codes, stub.requests) == ({"no answer": 1}, [])


async def reason(url: str) -> str:
    told: list[Answer] = []
    sender = Sender([Target(url, SecretValue(KEY))], on_answer=told.append, schedule=RetrySchedule(attempts=1))
    await sender.run([event()])
    return told[0].reason


async def test_the_reason_for_no_answer_is_told() -> None:
    async with running(ssl_options=server_tls(trustme.CA())) as stub:
        assert (await reason(stub.url + PATH)).startswith("its certificate is not trusted: ")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read(100)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1") as plain:
        port = plain.sockets[0].getsockname()[1]
        assert (await reason(f"https://127.0.0.1:{port}{PATH}")).startswith("it does not speak TLS there")
    assert (await reason(stub.url + PATH)).startswith("can't connect: ")
    async with running(Fault.CLOSE) as stub:
        assert (await reason(stub.url + PATH)).startswith("the connection broke: ")


@pytest.mark.parametrize("write", [lambda path: None, lambda path: path.write_text("no certificate")])
def test_a_ca_file_that_is_none(write: Callable[[Path], object], tmp_path: Path) -> None:
    write(tmp_path / "ca.pem")
    with pytest.raises(GatewayError, match="expected certificates in PEM"):
        Sender([Target("https://localhost/", SecretValue(KEY))], ca_file=tmp_path / "ca.pem")


# -- what is told ----------------------------------------------------------------------------------


async def test_each_answer_is_told() -> None:
    told: list[Answer] = []
    async with running(Reply(503), Fault.CLOSE) as stub:
        await make_sender(stub, on_answer=told.append).run([event(step=7)])
    assert [(answer.attempt, answer.code, answer.accepted, answer.last) for answer in told] == [
        (1, 503, False, False),
        (2, None, False, False),
        (3, 200, True, True),
    ]
    assert {answer.url for answer in told} == {stub.url + PATH}
    assert told[0].payload == {"type": "ItemPacked", "order": "1", "step": "7"}


async def test_latencies_are_of_answers_in_milliseconds() -> None:
    clock = Clock()

    async def slow(request: Request) -> Reply:
        clock.now += 0.25
        return Reply()

    async with running(slow) as stub:
        summary = await make_sender(stub, clock).run([event()])
    assert (summary.p50, summary.p99, summary.duration) == (250.0, 250.0, 0.25)
    assert summary.rate == 4.0


async def test_a_run_can_be_looked_at_before_its_end() -> None:
    looks: list[Summary] = []
    async with running(Reply(503)) as stub:
        sender = make_sender(stub, on_answer=lambda answer: looks.append(sender.summary()))
        await sender.run([event()])
    first, last = looks
    assert (first.signals, first.accepted, first.given_up) == (1, 0, 0)
    assert "1: 0 accepted, 0 given up, 1 under way" in str(first)
    assert "under way" not in str(last)


SUMMARY = Summary(240, 238, 2, 451, {"200": 238, "503": 210, "no answer": 3}, 2.34567, 9.5, 4.0)


def test_a_summary_as_text() -> None:
    assert str(SUMMARY).splitlines() == [
        "signals  240: 238 accepted, 2 given up",
        "answers  200: 238, 503: 210, no answer: 3 (451 attempts)",
        "latency  p50 2.3 ms, p99 9.5 ms",
        "time     4.0 s, 60 signals/s",
    ]


def test_a_summary_as_json() -> None:
    assert SUMMARY.as_dict() == {
        "signals": 240,
        "accepted": 238,
        "given_up": 2,
        "attempts": 451,
        "codes": {"200": 238, "503": 210, "no answer": 3},
        "p50": 2.346,
        "p99": 9.5,
        "duration": 4.0,
        "rate": 59.5,
    }


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, 0), ([7], 0.99, 7), ([1, 2, 3, 4], 0.5, 2), (range(1, 101), 0.99, 99), (range(1, 101), 0, 1)],
)
def test_percentiles_are_nearest_ranks(values: Any, share: float, expected: float) -> None:
    assert percentile(values, share) == expected


async def test_the_key_is_in_nothing_that_can_be_shown() -> None:
    told: list[Answer] = []
    async with running(Reply(401), Fault.CLOSE) as stub:
        sender = make_sender(stub, on_answer=told.append)
        summary = await sender.run([event()])
        shown = [target(stub), summary, summary.as_dict(), told, vars(sender)]
    assert KEY not in "".join(f"{thing!r}{thing!s}" for thing in shown)
    assert stub.requests[0].json["apikey"] == KEY
