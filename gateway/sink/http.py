"""A base class for sinks that speak HTTP: one connection pool a route, and transport errors raised as outcomes."""

from __future__ import annotations

import email.utils
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp
import orjson
import yarl

from gateway import exact_json
from gateway.errors import RetryLater, SinkError
from gateway.sink.api import Sink
from gateway.sink.erp_writes import Unanswered, WriteGuard
from gateway.sink.resolver import Address, ThreadResolver, require_host_permitted

TRANSIENT_STATUSES = frozenset({408, 409, 423, 425, 429, 502, 503, 504})
"""Statuses of a busy or unreachable target, for any kind of target: a retry may succeed."""
RETRIED_STATUSES = TRANSIENT_STATUSES | {500}
"""Statuses for which `raise_for_retry` raises RetryLater."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Longest body that is read. A longer one is refused, so that a broken target can't use up the memory."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer. The names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def is_json(self) -> bool:
        return "json" in self.headers.get("content-type", "")

    def json(self) -> Any:
        """Return the parsed body. Raises RetryLater if it is not JSON, but for example a proxy's error page."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise RetryLater(f"answered {self.status} with a body that is not JSON") from error

    def retry_after(self, now: float) -> float | None:
        """Return the seconds that Retry-After asks for (RFC 9110 10.2.3: a number or a date), None if it has none."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return float(text)
        try:
            return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
        except (ValueError, TypeError, OverflowError):
            return None

    def make_error(self, kind: type[SinkError], message: str, now: float) -> SinkError:
        """Return an error of that kind. A RetryLater waits at least as long as Retry-After asks."""
        return kind(message, self.retry_after(now)) if issubclass(kind, RetryLater) else kind(message)

    def raise_for_retry(self, now: float) -> None:
        """Raise RetryLater if the status shows a temporary state of the target."""
        if self.status in RETRIED_STATUSES:
            raise RetryLater(f"answered {self.status}", self.retry_after(now))


class HttpSink(Sink):
    """A sink that sends HTTP requests. It does not follow redirects; the sink judges answers of 3xx itself.

    The number of connections is that of attempts at a time. `read_timeout` is the longest silence (s) of a target; it
    must be shorter than `timeout`.
    """

    read_timeout: ClassVar[float] = 25.0
    _session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connection pool. It is made at first use, so that `check` works without `open`."""
        if self._session is None:
            # No limits but the silences: the route's concurrency bounds the connections, and the dispatcher the time of
            # an attempt. No cookies: a session that a target keeps must not tie one delivery to another.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, resolver=ThreadResolver(self.permits)),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=self.read_timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def permits(self, address: Address) -> bool:
        """Return True if the sink may connect to an address. Override it if other people may choose the URL."""
        return True

    async def request(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request and return the answer. Raises Unanswered if none came. No message contains the URL."""
        body = data if json is None else exact_json.dumps(json)
        sent = {"User-Agent": "cloudsignal-gateway", **(headers or {})}
        if json is not None:
            sent["Content-Type"] = "application/json"
        target = parse_url(url)
        require_host_permitted(target.host or "", self.permits)
        try:
            async with self.session.request(method, target, data=body, headers=sent, allow_redirects=False) as answer:
                kept = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status, kept, await read_body(answer))
        except TimeoutError as error:
            raise Unanswered("the target did not answer in time") from error
        except aiohttp.InvalidURL as error:
            raise RetryLater("the target's URL is not valid") from error
        except aiohttp.ClientConnectorDNSError as error:  # before its base class below
            raise Unanswered("the target's name can't be resolved") from error
        except aiohttp.ClientConnectorError as error:
            raise Unanswered(f"can't connect: {error.os_error.strerror or 'refused'}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unanswered(f"the connection broke: {type(error).__name__}") from error

    def write_guard(self) -> WriteGuard:
        """Return the guard for the writes of an attempt that begins now."""
        # A write that begins later could still be without an answer when the attempt's time ends.
        return WriteGuard(self.context.now, self.context.now() + self.timeout - self.read_timeout)

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()
            self._session = None


SendRequest = Callable[..., Awaitable[Response]]
"""The type of `HttpSink.request`."""


class RemoteServer:
    """One server at a fixed address, called with `HttpSink.request`. `now` gives seconds since the epoch.

    `headers` are sent with each request.
    """

    def __init__(
        self, send: SendRequest, url: str, now: Callable[[], float], headers: Mapping[str, str] | None = None
    ) -> None:
        self.send = send
        self.url = url
        self.now = now
        self.headers = headers or {}

    async def exchange(
        self, method: str, path: str, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send a request to a path of the server. Raises the errors of `HttpSink.request`."""
        return await self.send(method, self.url + path, json=json, headers={**self.headers, **(headers or {})})

    def make_error(self, kind: type[SinkError], message: str, response: Response) -> SinkError:
        """Return an error of that kind for an answer; a RetryLater waits as long as its Retry-After asks."""
        return response.make_error(kind, message, self.now())


def parse_url(url: str) -> yarl.URL:
    """Parse a URL as the HTTP client does, so that both checks and calls see one host."""
    try:
        return yarl.URL(url)
    except ValueError as error:
        raise RetryLater("the target's URL is not valid") from error


async def read_body(answer: aiohttp.ClientResponse) -> bytes:
    """Return the whole body. Raises RetryLater if it is too long."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise RetryLater(f"answered {answer.status} with more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)
