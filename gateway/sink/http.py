"""A base class for sinks that speak HTTP: one connection pool a route, and transport errors raised as outcomes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from gateway import exact_json
from gateway.errors import RetryLater, SinkError
from gateway.sink.api import Sink
from gateway.sink.client import Client, Dialer, Head, Proxies, Reading, Target, parse_url
from gateway.sink.erp_writes import WriteGuard
from gateway.sink.resolver import Address, require_host_permitted
from gateway.sink.retry_after import parse_retry_after

TRANSIENT_STATUSES = frozenset({408, 409, 423, 425, 429, 502, 503, 504})
"""Statuses of a busy or unreachable target, for any kind of target: a retry may succeed."""
RETRIED_STATUSES = TRANSIENT_STATUSES | {500}
"""Statuses for which `raise_for_retry` raises RetryLater."""

MAX_ANSWER_BYTES = 1024 * 1024
"""Longest body that is read, on the wire and inflated. A broken target must neither use up the memory nor the time."""


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
        """Return the seconds that Retry-After asks for, None if it has none that is valid."""
        return parse_retry_after(self.headers.get("retry-after", ""), now)

    def make_error(self, kind: type[SinkError], message: str, now: float) -> SinkError:
        """Return an error of that kind. A RetryLater waits at least as long as Retry-After asks."""
        return kind(message, self.retry_after(now)) if issubclass(kind, RetryLater) else kind(message)

    @property
    def is_transient(self) -> bool:
        """True if the status shows a temporary state of the target."""
        return self.status in RETRIED_STATUSES

    def raise_for_retry(self, now: float) -> None:
        """Raise RetryLater if the status shows a temporary state of the target."""
        if self.is_transient:
            raise RetryLater(f"answered {self.status}", self.retry_after(now))


class HttpSink(Sink):
    """A sink that sends HTTP requests. It does not follow redirects; the sink judges answers of 3xx itself.

    The number of connections is that of attempts at a time. `read_timeout` is the longest silence (s) of a target; it
    must be shorter than `timeout`.
    """

    read_timeout: ClassVar[float] = 25.0
    _http: Client | None = None

    def permits(self, address: Address) -> bool:
        """Return True if the sink may connect to an address. Override it if other people may choose the URL."""
        return True

    @property
    def use_proxy(self) -> bool:
        """True if requests go through the environment's proxies: unless the route's option `proxy` is false."""
        return bool(self.settings.get("proxy", True))

    @property
    def is_restricted(self) -> bool:
        """True if `permits` may refuse an address. A proxy is then given the address that was checked, not the name."""
        return type(self).permits is not HttpSink.permits

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
        target, sent, body = self._prepare(url, json, data, headers)
        reading = Reading(MAX_ANSWER_BYTES, self.read_timeout)
        head, content = await self._open_http().exchange(method, target, sent, body, reading)
        return as_response(head, content)

    async def request_status(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request to a target whose status alone tells if it took a delivery. Raises as `request` does.

        The body of a 2xx is left out. That of another status is at most 64 KiB, read within 5 s, else empty.
        """
        target, sent, body = self._prepare(url, json, data, headers)
        head, content = await self._open_http().ask_status(method, target, sent, body, self.read_timeout)
        return as_response(head, content)

    def _prepare(
        self, url: str, json: Any, data: bytes | None, headers: Mapping[str, str] | None
    ) -> tuple[Target, dict[str, str], bytes | None]:
        sent = {"User-Agent": "cloudsignal-gateway", **(headers or {})}
        if json is not None:
            sent["Content-Type"] = "application/json"
        target = parse_url(url)
        require_host_permitted(target.host, self.permits)
        return target, sent, data if json is None else exact_json.dumps(json)

    def _open_http(self) -> Client:
        """Return the connection pool. It is made at first use, so that `check` works without `open`."""
        if self._http is None:
            proxies = Proxies.from_environment() if self.use_proxy else Proxies({})
            self._http = Client(Dialer(self.permits, self.is_restricted, proxies))
        return self._http

    def write_guard(self) -> WriteGuard:
        """Return the guard for the writes of an attempt that begins now."""
        # A write that begins later could still be without an answer when the attempt's time ends.
        return WriteGuard(self.context.now, self.context.now() + self.timeout - self.read_timeout)

    async def close(self) -> None:
        """Close the pool."""
        if self._http is not None:
            await self._http.close()
            self._http = None


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


def as_response(head: Head, body: bytes) -> Response:
    return Response(head.status, head.headers, body)
