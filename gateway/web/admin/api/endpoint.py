"""Values of the API: an endpoint with its schemas, a call of it, its reply, and the paths of the route list."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

import voluptuous as vol

from gateway.config import Access, Config
from gateway.operate.feed import Feed
from gateway.store import Store
from gateway.web.admin.api.fields import PAGE

T = TypeVar("T")
PREFIX = "/api/v1/"


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of a gateway that the API works with. `store` and `feed` raise StoreError while there is no store."""

    store: Callable[[], Store]
    config: Callable[[], Config]
    now: Callable[[], float]
    wake_replays: Callable[[], None]
    feed: Callable[[], Feed]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of an endpoint with its valid parameters. `store` records actions under the caller's name."""

    access: Access
    store: Store
    config: Config
    now: float
    path: str
    names: Mapping[str, Any]
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    last_event_id: str
    desk: Desk

    @property
    def limit(self) -> int:
        """Return the number of rows on a page."""
        return int(self.query["limit"])


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of an endpoint: its JSON, or texts to send as they come; its status and headers."""

    content: Any
    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint: a function, the schemas of its query and body, and of the JSON of its answer for each status.

    Of the fields named in `one_of`, a body must have at least one.
    """

    run: Callable[[Call], Awaitable[Reply]]
    query: Mapping[Any, Any]
    body: Mapping[Any, Any] | None
    answers: Mapping[int, Any]
    paged: bool
    one_of: Sequence[str] = ()
    media: str = "application/json"

    @property
    def summary(self) -> str:
        """Return the first line of the function's docstring."""
        return (self.run.__doc__ or "").strip().splitlines()[0]


def endpoint(
    answers: Any,
    *,
    query: Mapping[Any, Any] | None = None,
    body: Mapping[Any, Any] | None = None,
    paged: bool = False,
    one_of: Sequence[str] = (),
    media: str = "application/json",
) -> Callable[[Callable[[Call], Awaitable[Reply]]], Endpoint]:
    """Make a function an endpoint. `answers` is the shape of its answer, or shapes by status.

    A `paged` endpoint answers a list, and takes `limit` and `after`.
    """
    by_status = answers if isinstance(answers, dict) and all(isinstance(code, int) for code in answers) else None
    shapes = by_status or {200: [answers] if paged else answers}

    def declare(run: Callable[[Call], Awaitable[Reply]]) -> Endpoint:
        return Endpoint(run, {**(PAGE if paged else {}), **(query or {})}, body, shapes, paged, one_of, media)

    return declare


def reply_page(call: Call, rows: Sequence[T], show: Callable[[T], Any], cursor: Callable[[T], Any]) -> Reply:
    """Reply with a page of rows, and link the next page if there is one. One row more than the limit was read."""
    page = rows[: call.limit]
    headers = {}
    if len(rows) > call.limit:
        given = {name: value for name, value in call.query.items() if name != "after" and value is not None}
        shown = {name: getattr(value, "text", value) for name, value in given.items()}
        query = urlencode({**shown, "after": cursor(page[-1])})
        headers["Link"] = f'<{call.path}?{query}>; rel="next"'
    return Reply([show(row) for row in page], headers=headers)


@dataclass(frozen=True, slots=True)
class Path:
    """A path of the route list, such as `accounts/{account}`, and its endpoints by method."""

    pattern: str
    methods: Mapping[str, Endpoint]

    @property
    def names(self) -> list[str]:
        """Return the names of the parameters in the path."""
        return re.findall(r"{(\w+)}", self.pattern)

    @property
    def regex(self) -> str:
        """Return the regular expression that Tornado matches the path with."""
        return re.escape(PREFIX) + re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.pattern))

    @property
    def allow(self) -> str:
        """Return the value of the header Allow."""
        return ", ".join([*self.methods, *(["HEAD"] if "GET" in self.methods else [])])


def path(pattern: str, **methods: Endpoint) -> Path:
    """Return a path with its endpoints, given by method in lower case."""
    return Path(pattern, {method.upper(): each for method, each in methods.items()})


EMPTY = vol.Schema({})
