"""A base for sinks that speak HTTP: one pooled session a route, and transport faults told as outcomes."""

from __future__ import annotations

import email.utils
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp
import orjson
import yarl

from gateway.errors import RetryLater, SinkError
from gateway.sink.api import Sink
from gateway.sink.erp_writes import Unanswered, WriteGuard
from gateway.sink.resolver import Address, ThreadResolver, require_host_permitted

TRANSIENT_STATUSES = frozenset({408, 409, 423, 425, 429, 502, 503, 504})
"""Statuses of a busy or unreachable target, whatever it does: a repeat may succeed."""
RETRIED = TRANSIENT_STATUSES | {500}
"""Statuses that speak of a passing state of the target."""

MAX_ANSWER = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """An answer read to its end. `headers` are keyed in lower case."""

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
        """The body parsed; RetryLater where it is no JSON, as a proxy's error page is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise RetryLater(f"answered {self.status} with a body that is not JSON") from error

    def retry_after(self, now: float) -> float | None:
        """Seconds asked for by Retry-After (RFC 9110 10.2.3: seconds or a date), None where it is missing or bad."""
        text = self.headers.get("retry-after", "").strip()
        if text.isdigit():
            return float(text)
        try:
            return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
        except ValueError:
            return None

    def make_error(self, kind: type[SinkError], message: str, now: float) -> SinkError:
        """An error of that kind; one that is tried again waits for what Retry-After asks."""
        return kind(message, self.retry_after(now)) if issubclass(kind, RetryLater) else kind(message)

    def raise_for_retry(self, now: float) -> None:
        """RetryLater for a status that passes by itself."""
        if self.status in RETRIED:
            raise RetryLater(f"answered {self.status}", self.retry_after(now))


class HttpSink(Sink):
    """A sink with `request`. Redirects are not followed: an answer of 3xx is the sink's to judge.

    It has as many connections as attempts at a time. `read_timeout` is the longest silence in seconds, below the
    attempt's `timeout`.
    """

    read_timeout: ClassVar[float] = 25.0
    _session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Made at first use, so that `check` works without `open`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, resolver=ThreadResolver(self.permits)),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=self.read_timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def permits(self, address: Address) -> bool:
        """Whether it may connect to an address; to be overridden where someone else may choose the URL."""
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
        """One exchange; Unanswered where no answer came. The URL, which may be secret, is in no message."""
        body = data if json is None else orjson.dumps(json)
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
            raise RetryLater("the target's URL can't be used") from error
        except aiohttp.ClientConnectorDNSError as error:
            raise Unanswered("the target's name can't be resolved") from error
        except aiohttp.ClientConnectorError as error:
            raise Unanswered(f"can't connect: {error.os_error.strerror or 'refused'}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unanswered(f"the connection broke: {type(error).__name__}") from error

    def write_guard(self) -> WriteGuard:
        """For an attempt that begins now: the last write is one whose answer it could wait for."""
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
        """Send a request to a path of the server. Raises what `HttpSink.request` does."""
        return await self.send(method, self.url + path, json=json, headers={**self.headers, **(headers or {})})

    def make_error(self, kind: type[SinkError], message: str, response: Response) -> SinkError:
        """Return an error of that kind for an answer; a RetryLater waits as long as its Retry-After asks."""
        return response.make_error(kind, message, self.now())


def parse_url(url: str) -> yarl.URL:
    """The URL as the client reads it, so that what is checked is what is called."""
    try:
        return yarl.URL(url)
    except ValueError as error:
        raise RetryLater("the target's URL can't be used") from error


async def read_body(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body, RetryLater where it has no end in sight."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise RetryLater(f"answered {answer.status} with more than {MAX_ANSWER} bytes")
    return bytes(body)
