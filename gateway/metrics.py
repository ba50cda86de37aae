"""Observers receive events and count them for Prometheus. The base does nothing; `guard` stops their exceptions.

A metric is declared once, at the event of `Observer` that feeds it. Its labels are the event's parameters, except
for the last one of a histogram or a gauge, which is the value.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import prometheus_client as prometheus
import structlog
from prometheus_client import Counter, Gauge, Histogram

log = structlog.get_logger()

Event = TypeVar("Event", bound=Callable[..., None])

NO_ACCOUNT = "-"
"""The label of requests for accounts that are not configured, so that requests from outside can't create labels."""

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of histogram buckets (s), from the time of an answer to a sink's time limit."""


FEEDS: Mapping[type, str] = {Counter: "inc", Histogram: "observe", Gauge: "set"}
"""The method of each kind of metric that takes an event's value; a counter takes none."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of Prometheus: its class, its name without the prefix `cloudsignal_`, and its help text."""

    kind: Any
    name: str
    help: str


def feeds(kind: type, name: str, help: str) -> Callable[[Event], Event]:
    """Declare the metric that an event of `Observer` feeds."""

    def declare(event: Event) -> Event:
        event.metric = Metric(kind, name, help)  # type: ignore[attr-defined]
        return event

    return declare


class Observer:
    """The events. Override those of interest; be quick, since they are called on the event loop.

    `seconds` are durations. The account is `NO_ACCOUNT` if it is not configured.
    """

    @feeds(Histogram, "request_seconds", "Requests for signals, by answer")
    def signal_received(self, account: str, code: int, seconds: float) -> None:
        """A request was answered."""

    @feeds(Counter, "signals_accepted", "New signals on disk")
    def signal_accepted(self, account: str) -> None:
        """A new signal is on disk."""

    @feeds(Counter, "signals_duplicate", "Signals that came again")
    def signal_duplicated(self, account: str) -> None:
        """A signal came again; nothing was written."""

    @feeds(Counter, "signals_held", "New signals of orders not known yet")
    def signal_held(self, account: str) -> None:
        """A new signal is on disk, held until its order is known."""

    @feeds(Counter, "signals_quarantined", "Requests kept aside as no valid signal")
    def signal_quarantined(self, account: str) -> None:
        """A request with a right key was not a valid signal; it was put into quarantine."""

    @feeds(Counter, "signals_unknown_type", "Signals of a type not known")
    def type_unknown(self, account: str) -> None:
        """A signal has a type that the gateway does not know."""

    @feeds(Counter, "bad_keys", "Requests with a wrong or missing key")
    def bad_key(self, account: str) -> None:
        """A key was wrong or missing."""

    @feeds(Counter, "bodies_damaged", "Bodies that can't be inflated")
    def body_damaged(self, account: str) -> None:
        """A compressed body was damaged, or had no Content-Encoding; its key may be out of reach."""

    @feeds(Gauge, "connections", "Open connections, by listener")
    def connections_open(self, listener: str, count: int) -> None:
        """A connection of a listener, `public` or `admin`, was opened or has ended."""

    @feeds(Counter, "connections_refused", "Connections closed or refused at a limit, by listener and reason")
    def connection_refused(self, listener: str, reason: str) -> None:
        """A connection was closed or refused; `reason` is limit, address or descriptors."""

    @feeds(Histogram, "attempt_seconds", "Attempts to deliver, by outcome")
    def delivery_attempted(self, account: str, route: str, sink: str, outcome: str, seconds: float) -> None:
        """An attempt ended; `outcome` is a gateway.model.Kind."""

    @feeds(Histogram, "sink_blocked_seconds", "Blocks of the event loop by a sink")
    def sink_blocked(self, account: str, route: str, sink: str, seconds: float) -> None:
        """A sink blocked the event loop; `account` and `route` are "" if only the plugin is known."""

    @feeds(Counter, "order_lookups", "Questions to sinks for orders of held signals, by answer")
    def order_looked_up(self, account: str, route: str, sink: str, answer: str) -> None:
        """A sink was asked for an order of held signals; `answer` is known, unknown or failed."""

    @feeds(Counter, "store_failures", "Transactions that failed")
    def store_failed(self) -> None:
        """A transaction failed, and with it every write in it."""

    @feeds(Gauge, "clock_ahead_seconds", "The computer's clock before the gateway's")
    def clock_ahead(self, seconds: float) -> None:
        """The computer's clock is ahead of the gateway's, which follows its jumps slowly."""

    @feeds(Gauge, "log_lines_dropped", "Log lines that could not be written, since the start")
    def log_lines_dropped(self, lines: int) -> None:
        """So many log lines found no reader, or no room on the disk, since the start."""

    @feeds(Gauge, "route_state", "0 running, 1 paused, 2 failing (probed), 3 misconfigured")
    def route_state(self, account: str, route: str, sink: str, status: int) -> None:
        """A route has this state: at the start, and when it changes. `status` is a gateway.policy.Status."""

    def route_gone(self, account: str, route: str, sink: str) -> None:
        """A route has stopped, with the gateway or because the config changed."""

    @feeds(Gauge, "keys_ending", "Keys that have ended, or end within 14 days")
    def keys_ending(self, keys: int) -> None:
        """So many keys of the configuration have ended, or end within 14 days."""

    @feeds(Gauge, "config_last_reload_successful", "Whether the last reload was taken up")
    def config_loaded(self, good: bool) -> None:
        """The config was read, at the start or by a reload. If it was not `good`, the last one stays in force."""

    def exposition(self) -> bytes:
        """Return all counts in Prometheus' text format."""
        return b""


EVENTS = tuple(name for name in vars(Observer) if not name.startswith("_") and name != "exposition")


def guard(observer: Observer) -> Observer:
    """Return an observer that passes all events on, and logs exceptions instead of raising them."""
    guarded = Observer()
    for name in EVENTS:
        setattr(guarded, name, log_exceptions(name, getattr(observer, name)))
    guarded.exposition = observer.exposition  # type: ignore[method-assign]
    return guarded


def log_exceptions(name: str, event: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(event)
    def guarded(*values: Any) -> None:
        try:
            event(*values)
        except Exception:
            log.exception("observer.failed", method=name)

    return guarded


class PrometheusObserver(Observer):
    """Feeds the declared metrics, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        self._made: dict[str, Any] = {}
        self._children: dict[str, dict[tuple[Any, ...], Any]] = {}
        for name in EVENTS:
            event = getattr(Observer, name)
            if metric := getattr(event, "metric", None):
                _, *parameters = inspect.signature(event).parameters
                setattr(self, name, self._make_event(metric, parameters))

    def _make_event(self, metric: Metric, parameters: Sequence[str]) -> Callable[..., None]:
        """Return the function that takes an event's values and feeds its metric."""
        labels = parameters if metric.kind is Counter else parameters[:-1]
        options = {"buckets": LATENCIES} if metric.kind is Histogram else {}
        made = metric.kind(metric.name, metric.help, labels, namespace="cloudsignal", registry=self.registry, **options)
        self._made[metric.name] = made
        # prometheus_client looks children up under a lock, at each event; it keeps them all, so a cache may too.
        children = self._children[metric.name] = {} if labels else {(): made}
        feed, count = FEEDS[metric.kind], len(labels)

        def tell(*values: Any) -> None:
            child = children.get(values[:count])
            if child is None:
                child = children[values[:count]] = made.labels(*values[:count])
            getattr(child, feed)(*values[count:])

        return tell

    def route_gone(self, account: str, route: str, sink: str) -> None:
        self._children["route_state"].pop((account, route, sink), None)
        with contextlib.suppress(KeyError):
            self._made["route_state"].remove(account, route, sink)

    def exposition(self) -> bytes:
        return prometheus.generate_latest(self.registry)
