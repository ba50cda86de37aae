"""A client that sends signals as the vendor does: it retries after every answer except 200 and 204.

The vendor makes at most 100 attempts over 7 days (CloudSignal Webhooks v2.0, "Retry"). Its waits are not published.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import ssl
import time
import zlib
from array import array
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from gateway.errors import GatewayError
from gateway.model import SecretValue
from gateway.simulate.orders import Event

ACCEPTED = (200, 204)


@dataclass(frozen=True, slots=True)
class Target:
    """An account's endpoint and one of its keys. Raises GatewayError if the URL is not one of HTTP."""

    url: str
    key: SecretValue

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise GatewayError("expected an endpoint's URL, such as https://gateway.example/signals/bookshop")


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """A sender's retries: the vendor's 100 attempts, with its 7 days shortened to minutes. Waits are in seconds."""

    attempts: int = 100
    first: float = 0.2
    factor: float = 1.5
    cap: float = 5.0

    def wait(self, attempt: int) -> float:
        """Return the wait after a failed attempt; attempts count from 1."""
        return min(self.cap, self.first * self.factor ** min(attempt - 1, 100))


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an attempt. Attempts count from 1; `last` is final. `code` is None for no answer: see `reason`."""

    url: str
    payload: Mapping[str, str]
    attempt: int
    code: int | None
    seconds: float
    last: bool
    reason: str = ""

    @property
    def accepted(self) -> bool:
        return self.code in ACCEPTED


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a run.

    `codes` counts the answers, "no answer" among them. `p50` and `p99` are latencies of answers in milliseconds,
    `duration` is in seconds. Signals that are neither accepted nor given up are still under way.
    """

    signals: int
    accepted: int
    given_up: int
    attempts: int
    codes: Mapping[str, int]
    p50: float
    p99: float
    duration: float

    @property
    def rate(self) -> float:
        """Return the accepted signals per second."""
        return self.accepted / self.duration if self.duration > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in ("signals", "accepted", "given_up", "attempts")}
        figures = {name: round(getattr(self, name), 3) for name in ("p50", "p99", "duration", "rate")}
        return {**counts, "codes": dict(self.codes), **figures}

    def __str__(self) -> str:
        codes = ", ".join(f"{code}: {count}" for code, count in self.codes.items()) or "none"
        under_way = self.signals - self.accepted - self.given_up
        return "\n".join(
            (
                f"signals  {self.signals}: {self.accepted} accepted, {self.given_up} given up"
                + (f", {under_way} under way" if under_way else ""),
                f"answers  {codes} ({self.attempts} attempts)",
                f"latency  p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms",
                f"time     {self.duration:.1f} s, {self.rate:.0f} signals/s",
            )
        )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of sorted values, 0 if there are none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


@dataclass(slots=True)
class Tally:
    """Counts of answers, kept as they come."""

    signals: int = 0
    accepted: int = 0
    given_up: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    latencies: array[float] = field(default_factory=lambda: array("d"))

    def add(self, answer: Answer) -> None:
        self.accepted += answer.accepted
        self.given_up += answer.last and not answer.accepted
        self.codes["no answer" if answer.code is None else str(answer.code)] += 1
        if answer.code is not None:
            self.latencies.append(answer.seconds * 1000)

    def summary(self, duration: float) -> Summary:
        ordered = sorted(self.latencies)
        p50, p99 = percentile(ordered, 0.5), percentile(ordered, 0.99)
        codes = dict(sorted(self.codes.items()))
        return Summary(self.signals, self.accepted, self.given_up, self.codes.total(), codes, p50, p99, duration)


class Sender:
    """A sender of events. Each order goes to one target, and its next signal waits for the one before.

    At most `connections` requests run at once and `rate` signals start per second (retries not counted).
    `on_answer` gets each answer. https targets are checked against `ca_file`, or the system's own if it is None.
    """

    MAX_IN_FLIGHT = 1000
    """Signals in flight, including waits for the order's turn or a retry. It bounds the memory of a run."""

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        connections: int = 8,
        rate: float | None = None,
        schedule: RetrySchedule = RetrySchedule(),
        timeout: float = 30.0,
        ca_file: Path | None = None,
        on_answer: Callable[[Answer], object] = lambda answer: None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if not targets:
            raise GatewayError("expected at least one endpoint's URL")
        self._targets = targets
        self._rate = rate
        self._schedule = schedule
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._tls = make_tls(ca_file)
        self._on_answer = on_answer
        self._sleep = sleep
        self._clock = clock
        self._tally = Tally()
        # Not the connector's limit: the wait for a free connection is neither latency nor a reason to time out.
        self._connections = asyncio.Semaphore(connections)
        self._in_flight = asyncio.Semaphore(self.MAX_IN_FLIGHT)
        self._lanes: dict[str, deque[dict[str, str]]] = {}
        self._started = self._next = clock()

    async def run(self, events: Iterable[Event]) -> Summary:
        """Send all events, in their order, until each is accepted or given up. Return the summary."""
        self._started = self._next = self._clock()
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for _, payload in events:
                await self._in_flight.acquire()
                await self._wait_for_rate()
                self._tally.signals += 1
                order = payload["order"]
                lane = self._lanes.setdefault(order, deque())
                lane.append(payload)
                if len(lane) == 1:
                    tasks.create_task(self._run_lane(session, order))
        return self.summary()

    def summary(self) -> Summary:
        """Return the summary of the run so far."""
        return self._tally.summary(self._clock() - self._started)

    async def _wait_for_rate(self) -> None:
        """Wait until the next signal may start. A late sender catches up by one second's signals at most."""
        if self._rate is None:
            return
        now = self._clock()
        self._next = max(self._next, now - 1)
        if self._next > now:
            await self._sleep(self._next - now)
        self._next += 1 / self._rate

    async def _run_lane(self, session: aiohttp.ClientSession, order: str) -> None:
        lane = self._lanes[order]
        target = self._targets[zlib.crc32(order.encode()) % len(self._targets)]
        while lane:
            await self._send(session, target, lane[0])
            lane.popleft()
            self._in_flight.release()
        del self._lanes[order]

    async def _send(self, session: aiohttp.ClientSession, target: Target, payload: dict[str, str]) -> None:
        body = orjson.dumps({"apikey": target.key.reveal(), **payload})
        for attempt in itertools.count(1):
            async with self._connections:
                started = self._clock()
                code, reason = await self._post(session, target.url, body)
                seconds = self._clock() - started
            last = code in ACCEPTED or attempt >= self._schedule.attempts
            answer = Answer(target.url, payload, attempt, code, seconds, last, reason)
            self._tally.add(answer)
            self._on_answer(answer)
            if last:
                return
            await self._sleep(self._schedule.wait(attempt))

    async def _post(self, session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[int | None, str]:
        """Post a signal. Return the answer's code, or None and the reason if none came whole. Bodies are ignored."""
        headers = {"Content-Type": "application/json", "User-Agent": "cloudsignal-simulate"}
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                await response.read()
                return response.status, ""
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return None, describe(error, self._timeout.total or 0.0)


def describe(error: Exception, timeout: float) -> str:
    """Return the reason why no answer came, for people."""
    reason = f"the connection broke: {error or type(error).__name__}"
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as refused):
            reason = f"its certificate is not trusted: {refused.verify_message}; see --ca-file"
        case aiohttp.ClientConnectorSSLError():
            reason = "it does not speak TLS there: is its URL http:// and not https://?"
        case aiohttp.ClientConnectorDNSError():
            reason = f"the name {error.host} is not known"
        case aiohttp.ClientConnectorError():
            reason = f"can't connect: {error.os_error.strerror or error.os_error}"
        case TimeoutError():
            reason = f"no answer within {timeout:g} s"
        case aiohttp.ClientResponseError():
            reason = "its answer is not HTTP"
    return reason


def make_tls(ca_file: Path | None) -> ssl.SSLContext:
    """Return the client's TLS context. Raises GatewayError if the CA file can't be used."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise GatewayError("the CA file can't be used: expected certificates in PEM") from error
