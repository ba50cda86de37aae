"""The class Sink, and the objects that the gateway gives to a sink."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

import orjson
import structlog
import voluptuous as vol

from gateway.model import ALL, Delivery, Ordering, Signal

T = TypeVar("T")


class State:
    """A route's key-value store: JSON values that live as long as the route.

    Values that are set during a delivery are committed in one transaction with its result. So a sink's position is
    always in step with its deliveries. `get` sees every value that was set; `committed` sees only values that would
    survive a crash.
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = dict(values or {})
        self._committed = dict(self._values)
        self._changed: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)

    def committed(self, key: str, default: Any = None) -> Any:
        return self._committed.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Set a value. Raises TypeError at once, and not at the commit, for values that JSON lacks."""
        orjson.dumps(value)
        self._values[key] = self._changed[key] = value

    def take_changes(self) -> dict[str, Any]:
        """Return the values set since the last call. For the dispatcher."""
        changed, self._changed = self._changed, {}
        return changed

    def confirm(self, changes: Mapping[str, Any]) -> None:
        """Note that these changes are committed. For the dispatcher."""
        self._committed.update(changes)


class Shared:
    """Objects that all routes of one plugin share while the gateway runs, such as a common target's rate limit."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the object with this key; the first call makes it. The key must not contain a secret."""
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept


@dataclass(frozen=True, slots=True)
class Context:
    """The route that a sink serves, and the services that it may use."""

    account: str
    tenant: str
    route: str
    state: State = field(default_factory=State)
    log: Any = field(default_factory=structlog.get_logger)
    now: Callable[[], float] = time.time
    shared: Shared = field(default_factory=Shared)


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a sink's `check`: `ok` if it could deliver, and a line for each thing that was checked."""

    ok: bool
    details: tuple[str, ...] = ()


class FileFormat(Protocol):
    """Writes the content of a sink's files. Equal signals give equal bytes."""

    def header(self) -> bytes:
        """Return the beginning of a file."""
        ...

    def rows(self, signals: Iterable[Signal]) -> bytes:
        """Return the bytes of further signals, to be appended to a file."""
        ...


class Sink:
    """A destination of signals. One instance serves one route; the gateway calls it from one event loop.

    `deliver` returns when the target has taken the delivery, or raises RetryLater, Permanent, Misconfigured or
    Skip. The gateway retries after any other exception. An attempt may be cancelled at any await, and a delivery may
    come again: use `delivery.key` so that its effect happens only once.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    signals: ClassVar[frozenset[str]] = ALL
    """Signal types that a route gets if its config names none."""
    order: ClassVar[Ordering] = "lane"
    """Order of deliveries: "lane" delivers each order's signals in sequence; "none" delivers all in parallel."""
    options: ClassVar[Mapping[Any, Any]] = {}
    """The voluptuous schema of the route's options; `options_of` makes it from a dataclass."""
    sample: ClassVar[Mapping[str, str]] = {}
    """Options of a sample route, each as it is written in YAML, for `cloudsignal plugins NAME`.

    If there are none, it makes up the required ones."""
    file_options: ClassVar[Mapping[Any, Any]] = {}
    """For a sink with a `file_format`: the options that shape a file."""
    timeout: ClassVar[float] = 30.0
    """Time limit of an attempt (s). The gateway then cancels it and tries again."""
    concurrency: ClassVar[int] = 4
    """Attempts that a route runs at a time, unless its config gives a number."""
    batch: ClassVar[int] = 1
    """Most deliveries in a call of `deliver_batch`."""
    single_writer: ClassVar[bool] = False
    """True if only one of the gateways that share a store may work on a route at a time, as files require."""

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        self.settings = options
        self.context = context
        self.state = context.state
        self.log = context.log

    @classmethod
    def check_together(cls, options: Mapping[str, Any]) -> None:
        """Check options against each other. Raises voluptuous.Invalid with the path of one that contradicts another."""

    @classmethod
    def schema(cls) -> vol.Schema:
        """Return the schema of a route's options, including `check_together`."""

        def agreed(options: dict[str, Any]) -> dict[str, Any]:
            cls.check_together(options)
            return options

        return vol.Schema(vol.All(dict(cls.options), agreed))

    @classmethod
    def file_format(cls, options: Mapping[str, Any]) -> FileFormat | None:
        """Return the format for `cloudsignal export` with these options, or None if the sink writes no files."""
        return None

    @classmethod
    def opens_at_start(cls, options: Mapping[str, Any]) -> bool:
        """Return True to open the sink when the gateway starts, not at its first delivery, as timed work requires."""
        return False

    async def open(self) -> None:
        """Get ready. Called once, before the first delivery; may raise the same errors as `deliver`."""

    async def deliver(self, delivery: Delivery) -> None:
        """Send one delivery to the target."""
        raise TypeError(f"{type(self).__name__} has neither deliver nor deliver_batch")

    async def deliver_batch(self, deliveries: Sequence[Delivery]) -> Sequence[Exception | None] | None:
        """Send several deliveries. Return None if all were taken, else an exception or None for each.

        An exception that is raised applies to all of them.
        """
        for delivery in deliveries:
            await self.deliver(delivery)
        return None

    async def knows(self, reference: str) -> bool | None:
        """Return True if the target has an order with this reference, False if it has none, None if it can't tell.

        An account with `unknown_orders: hold` asks so for the orders of held signals. It must change nothing. Raise
        an error if the target can't be asked; the gateway asks again later.
        """
        return None

    @classmethod
    def looks_up_orders(cls) -> bool:
        """Return True if the sink has a `knows` of its own."""
        return cls.knows is not Sink.knows

    async def check(self) -> Check:
        """Ask the target if the route could deliver: it is reachable, and the credentials have the rights needed."""
        return Check(True)

    async def close(self) -> None:
        """Release all resources. Called once, after the last delivery."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.context.account}/{self.context.route}>"
