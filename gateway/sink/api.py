"""What a sink is, and what the gateway gives it."""

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

    What a delivery `set`s is committed in one transaction with that delivery's result, so a sink can keep its
    position exactly in step with what it has delivered. `get` sees what was set, committed or not; `committed` what
    a crash would leave.
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
        """Raises TypeError, here and not at the commit, for what JSON does not have."""
        orjson.dumps(value)
        self._values[key] = self._changed[key] = value

    def take_changes(self) -> dict[str, Any]:
        """For the dispatcher: what was set since the last call."""
        changed, self._changed = self._changed, {}
        return changed

    def confirm(self, changes: Mapping[str, Any]) -> None:
        """For the dispatcher: these changes are committed."""
        self._committed.update(changes)


class Shared:
    """What the routes of one plugin share while the gateway runs, such as the pace of a target they have in common."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept by this key, made by the first who asks. No secret may be in the key."""
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept


@dataclass(frozen=True, slots=True)
class Context:
    """What a sink is told of the route it serves."""

    account: str
    tenant: str
    route: str
    state: State = field(default_factory=State)
    log: Any = field(default_factory=structlog.get_logger)
    now: Callable[[], float] = time.time
    shared: Shared = field(default_factory=Shared)


@dataclass(frozen=True, slots=True)
class Check:
    """What a sink's `check` found: whether it could deliver, and a line for each thing it looked at."""

    ok: bool
    details: tuple[str, ...] = ()


class FileFormat(Protocol):
    """How a sink's files are written. The same signals give the same bytes."""

    def header(self) -> bytes:
        """What a file begins with."""
        ...

    def rows(self, signals: Iterable[Signal]) -> bytes:
        """What follows, for some signals after others."""
        ...


class Sink:
    """A destination of signals. One instance serves one route; the gateway calls it from one event loop.

    `deliver` returns when the target has taken the delivery, or raises RetryLater, Permanent, Misconfigured or
    Skip. Any other exception is retried. It may be cancelled at any await, and the same delivery may come again:
    use `delivery.key` to do nothing twice.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    signals: ClassVar[frozenset[str]] = ALL
    """The types a route of this sink gets where its config names none."""
    order: ClassVar[Ordering] = "lane"
    """"lane": one order's deliveries come one after the other; "none": as they come."""
    options: ClassVar[Mapping[Any, Any]] = {}
    """The voluptuous schema of the route's options."""
    file_options: ClassVar[Mapping[Any, Any]] = {}
    """For a sink with a `file_format`: those of the options that shape a file."""
    timeout: ClassVar[float] = 30.0
    """Seconds an attempt may take."""
    concurrency: ClassVar[int] = 4
    """How many attempts a route runs at once where its config does not say."""
    batch: ClassVar[int] = 1
    """How many deliveries `deliver_batch` takes at the most."""
    single_writer: ClassVar[bool] = False
    """Whether, of gateways that share a store, one at a time may work on a route: a file has one writer."""

    def __init__(self, options: Mapping[str, Any], context: Context) -> None:
        self.settings = options
        self.context = context
        self.state = context.state
        self.log = context.log

    @classmethod
    def check_together(cls, options: Mapping[str, Any]) -> None:
        """Whether options that are right alone go together: else raise voluptuous.Invalid, with the path of one."""

    @classmethod
    def schema(cls) -> vol.Schema:
        """What a route's options must pass."""

        def agreed(options: dict[str, Any]) -> dict[str, Any]:
            cls.check_together(options)
            return options

        return vol.Schema(vol.All(dict(cls.options), agreed))

    @classmethod
    def file_format(cls, options: Mapping[str, Any]) -> FileFormat | None:
        """For `cloudsignal export`, how files with these options are written; None where a sink writes none."""
        return None

    @classmethod
    def opens_at_start(cls, options: Mapping[str, Any]) -> bool:
        """Whether it is opened with the gateway and not with its first delivery, having work of its own to do."""
        return False

    async def open(self) -> None:
        """Get ready; called once, before the first delivery. May raise what `deliver` may."""

    async def deliver(self, delivery: Delivery) -> None:
        """Bring one delivery to the target."""
        raise TypeError(f"{type(self).__name__} has neither deliver nor deliver_batch")

    async def deliver_batch(self, deliveries: Sequence[Delivery]) -> Sequence[Exception | None] | None:
        """Bring several at once; None says all were taken, else one entry each. An exception holds for all."""
        for delivery in deliveries:
            await self.deliver(delivery)
        return None

    async def check(self) -> Check:
        """Ask the target whether the route could deliver: reachable, right credentials, enough rights."""
        return Check(True)

    async def close(self) -> None:
        """Let go of everything; called once, after the last delivery."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.context.account}/{self.context.route}>"
