"""All errors of the gateway. A class's docstring is its default message; HTTP codes are in gateway.web.answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


class GatewayError(Exception):
    """The gateway could not do this."""

    context: Mapping[str, object] = MappingProxyType({})
    """Values for the log line of this error. They are no part of the message, and never answered."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


# -- configuration ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """One error in the configuration.

    `path` is dotted (`accounts.bookshop.keys`); `file` and `line` (1-based) locate it. `message` says what is expected.
    It never has the value found, which may be a secret.
    """

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class ConfigError(GatewayError):
    """The configuration is wrong."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class PluginError(GatewayError):
    """A plugin could not be loaded."""


# -- a request that is not accepted ----------------------------------------------------------------


class Unauthorized(GatewayError):
    """Wrong or missing key."""


class Forbidden(GatewayError):
    """This role may not do that."""


class InvalidQuery(GatewayError):
    """The query or the body has wrong fields."""

    def __init__(self, fields: Mapping[str, str] | None = None, message: str = "") -> None:
        self.fields = dict(fields or {})
        super().__init__(message)


class InvalidSignal(GatewayError):
    """Not a valid signal."""

    def __init__(self, fields: Mapping[str, str] | None = None, message: str = "") -> None:
        self.fields = dict(fields or {})
        super().__init__(message)


class MalformedRequest(GatewayError):
    """The request is not HTTP/1.1."""


class UnsupportedVersion(GatewayError):
    """The HTTP version is not 1.1 or 1.0."""


class UnsupportedCoding(GatewayError):
    """The coding is not supported."""


class UnsupportedContent(GatewayError):
    """The Content-Encoding is not supported; send gzip, deflate or plain JSON."""


class TargetTooLong(GatewayError):
    """The request target is too long."""


class HeadTooLarge(GatewayError):
    """The head of the request is too large."""


class TooLarge(GatewayError):
    """The body is too large."""


class MethodNotAllowed(GatewayError):
    """Signals are sent by POST."""


class NotFound(GatewayError):
    """Nothing here."""


class RetryableError(GatewayError):
    """Try again later. `retry_after` is in seconds."""

    def __init__(self, message: str = "", retry_after: float = 5.0) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class TooManyRequests(RetryableError):
    """Too many requests."""


class Unavailable(RetryableError):
    """The gateway can't take signals now."""


class ShuttingDown(Unavailable):
    """The gateway is shutting down."""


class StoreError(Unavailable):
    """The store is unavailable."""


class StoreBusy(StoreError):
    """The store's queue is full."""


class StoreUnreachable(StoreError):
    """The store can't be reached now."""


class StoreLost(StoreError):
    """The store's file is not in its place."""


class StoreCorrupt(StoreError):
    """The store is damaged."""


class StoreMissing(GatewayError):
    """There is no store."""


class StoreInUse(GatewayError):
    """Another gateway is using this store."""


# -- outcomes that a sink may raise (see plugins/README.md) -----------------------------------------


class SinkError(GatewayError):
    """The sink did not take the delivery."""


class RetryLater(SinkError):
    """The target can't take the delivery now; try again later.

    `after` is the least wait in seconds, such as that of a Retry-After header; None leaves it to the retry policy.
    The gateway waits an hour at most, and not beyond the time to give up. `healthy` means that only this delivery must
    wait, not the target: the route's breaker does not count it. `firm` means that a try before `after` would do harm.
    """

    def __init__(
        self, message: str = "", after: float | None = None, healthy: bool = False, firm: bool = False
    ) -> None:
        self.after = after
        self.healthy = healthy
        self.firm = firm
        super().__init__(message or "the target can't take it now")


class Unanswered(RetryLater):
    """No answer came. The target may still work on the request, and commit it later."""


class Permanent(SinkError):
    """The target will never take this delivery; it becomes a dead letter."""


class Misconfigured(SinkError):
    """The route's settings are wrong; the route is misconfigured: it rests, and no attempt is counted."""


class Skip(SinkError):
    """Nothing to do for this signal; the delivery counts as filtered."""
