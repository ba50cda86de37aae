"""Observers receive events and count them for Prometheus. The base does nothing; `guard` stops their exceptions.

A metric is declared once, at the event of `Observer` that feeds it. Its labels are the event's parameters, without the
value, which is the last one. A counter takes no value. A table's value has all its series, by their labels.

Labels that name an account or a route are for counters, gauges, summaries and tables only: a histogram has a series for
each bucket, and 10,000 accounts would have half a million.
"""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import prometheus_client as prometheus
import structlog

from gateway.model import RouteKey
from gateway.series import Series, Summary

log = structlog.get_logger()

Event = TypeVar("Event", bound=Callable[..., None])

NO_ACCOUNT = "-"
"""The label of requests for accounts that are not configured, so that requests from outside can't create labels."""

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of histogram buckets (s), from the time of an answer to a sink's time limit."""
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Upper bounds of the buckets of numbers."""
PREFIX = "cloudsignal_"


class Kind(enum.Enum):
    """A kind of metric."""

    COUNTER = enum.auto()
    GAUGE = enum.auto()
    SUMMARY = enum.auto()
    """The number and the sum of the values."""
    HISTOGRAM = enum.auto()
    TABLE = enum.auto()
    """A gauge. Its series are replaced as a whole."""


COUNTER, GAUGE, SUMMARY, HISTOGRAM, TABLE = Kind


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of Prometheus: its kind, its name without the prefix `cloudsignal_`, and its help text.

    `labels` names the event's parameters that become labels, None for all. `buckets` is for a histogram.
    """

    kind: Kind
    name: str
    help: str
    labels: tuple[str, ...] | None = None
    buckets: Sequence[float] = LATENCIES

    @property
    def full_name(self) -> str:
        return f"{PREFIX}{self.name}{'_total' if self.kind is COUNTER else ''}"


def feeds(
    kind: Kind, name: str, help: str, labels: tuple[str, ...] | None = None, buckets: Sequence[float] = LATENCIES
) -> Callable[[Event], Event]:
    """Declare a metric that an event of `Observer` feeds."""

    def declare(event: Event) -> Event:
        known: tuple[Metric, ...] = getattr(event, "metrics", ())
        event.metrics = (Metric(kind, name, help, labels, buckets), *known)  # type: ignore[attr-defined]
        return event

    return declare


class Observer:
    """The events. Override those of interest; be quick, since they are called on the event loop.

    `seconds` are durations. The account is `NO_ACCOUNT` if it is not configured.
    """

    @feeds(SUMMARY, "request_seconds", "Requests for signals, by account and answer")
    @feeds(HISTOGRAM, "request_latency_seconds", "Time to answer requests for signals", labels=("code",))
    def signal_received(self, account: str, code: int, seconds: float) -> None:
        """A request was answered."""

    @feeds(COUNTER, "signals_accepted", "New signals on disk")
    def signal_accepted(self, account: str) -> None:
        """A new signal is on disk."""

    @feeds(COUNTER, "signals_duplicate", "Signals that came again")
    def signal_duplicated(self, account: str) -> None:
        """A signal came again; nothing was written."""

    @feeds(COUNTER, "signals_held", "New signals of orders not known yet")
    def signal_held(self, account: str) -> None:
        """A new signal is on disk, held until its order is known."""

    @feeds(COUNTER, "signals_quarantined", "Requests kept aside as no valid signal")
    def signal_quarantined(self, account: str) -> None:
        """A request with a right key was not a valid signal; it was put into quarantine."""

    @feeds(COUNTER, "signals_unknown_type", "Signals of a type not known")
    def type_unknown(self, account: str) -> None:
        """A signal has a type that the gateway does not know."""

    @feeds(COUNTER, "bad_keys", "Requests with a wrong or missing key")
    def bad_key(self, account: str) -> None:
        """A key was wrong or missing."""

    @feeds(COUNTER, "bodies_damaged", "Bodies that can't be inflated")
    def body_damaged(self, account: str) -> None:
        """A compressed body was damaged, or had no Content-Encoding; its key may be out of reach."""

    @feeds(GAUGE, "connections", "Open connections, by listener")
    def connections_open(self, listener: str, count: int) -> None:
        """A connection of a listener, `public` or `admin`, was opened or has ended."""

    @feeds(COUNTER, "connections_refused", "Connections closed or refused at a limit, by listener and reason")
    def connection_refused(self, listener: str, reason: str) -> None:
        """A connection was closed or refused; `reason` is limit, address or descriptors."""

    @feeds(SUMMARY, "attempt_seconds", "Attempts to deliver, by route and outcome")
    @feeds(HISTOGRAM, "attempt_latency_seconds", "Time of attempts to deliver", labels=("sink", "outcome"))
    def delivery_attempted(self, account: str, route: str, sink: str, outcome: str, seconds: float) -> None:
        """An attempt ended; `outcome` is a gateway.model.Kind."""

    @feeds(SUMMARY, "sink_blocked_seconds", "Blocks of the event loop by a sink")
    def sink_blocked(self, account: str, route: str, sink: str, seconds: float) -> None:
        """A sink blocked the event loop; `account` and `route` are "" if only the plugin is known."""

    @feeds(COUNTER, "order_lookups", "Questions to sinks for orders of held signals, by answer")
    def order_looked_up(self, account: str, route: str, sink: str, answer: str) -> None:
        """A sink was asked for an order of held signals; `answer` is known, unknown or failed."""

    @feeds(COUNTER, "store_failures", "Transactions that failed")
    def store_failed(self) -> None:
        """A transaction failed, and with it every write in it."""

    @feeds(GAUGE, "clock_ahead_seconds", "The computer's clock before the gateway's")
    def clock_ahead(self, seconds: float) -> None:
        """The computer's clock is ahead of the gateway's, which follows its jumps slowly."""

    @feeds(GAUGE, "log_lines_dropped", "Log lines that could not be written, since the start")
    def log_lines_dropped(self, lines: int) -> None:
        """So many log lines found no reader, or no room on the disk, since the start."""

    @feeds(GAUGE, "route_state", "0 running, 1 paused, 2 failing (probed), 3 misconfigured")
    def route_state(self, account: str, route: str, sink: str, status: int) -> None:
        """A route has this state: at the start, and when it changes. `status` is a gateway.policy.Status."""

    def route_gone(self, account: str, route: str, sink: str) -> None:
        """A route has stopped, with the gateway or because the config changed."""

    @feeds(GAUGE, "keys_ending", "Keys that have ended, or end within 14 days")
    def keys_ending(self, keys: int) -> None:
        """So many keys of the configuration have ended, or end within 14 days."""

    @feeds(GAUGE, "config_last_reload_successful", "Whether the last reload was taken up")
    def config_loaded(self, good: bool) -> None:
        """The config was read, at the start or by a reload. If it was not `good`, the last one stays in force."""

    # -- found by looking at the store, not by events

    @feeds(TABLE, "deliveries_pending", "Pending deliveries", labels=("account", "route"))
    def pending_found(self, pending: Mapping[RouteKey, float]) -> None:
        """These routes have so many pending deliveries."""

    @feeds(TABLE, "oldest_pending_seconds", "Age of the oldest pending delivery", labels=("account", "route"))
    def oldest_pending_found(self, ages: Mapping[RouteKey, float]) -> None:
        """The oldest pending delivery of these routes is so old."""

    @feeds(TABLE, "dead_letters", "Dead letters", labels=("account", "route"))
    def dead_letters_found(self, dead: Mapping[RouteKey, float]) -> None:
        """These routes have so many dead letters."""

    @feeds(TABLE, "quarantined_requests", "Requests in quarantine", labels=("account",))
    def quarantine_found(self, requests: Mapping[tuple[str], float]) -> None:
        """These accounts have so many requests in quarantine."""

    @feeds(TABLE, "alerts_open", "Alerts that are raised", labels=("account", "alert", "severity"))
    def open_alerts_found(self, alerts: Mapping[tuple[str, str, str], float]) -> None:
        """So many alerts are raised; `alert` is the name of the watch, or the cause."""

    @feeds(TABLE, "key_expires_timestamp_seconds", "End of a key", labels=("account", "key"))
    def key_ends_found(self, ends: Mapping[tuple[str, str], float]) -> None:
        """These keys end at these times. Keys without an end are left out."""

    @feeds(TABLE, "key_last_used_timestamp_seconds", "Last use of a key", labels=("account", "key"))
    def key_uses_found(self, uses: Mapping[tuple[str, str], float]) -> None:
        """These keys were last used at these times. Keys that were never used are left out."""

    @feeds(GAUGE, "store_look_seconds", "Time of the last look at the store for these figures")
    def store_looked_at(self, seconds: float) -> None:
        """A look at the store for the figures above took so long."""

    # -- the process

    @feeds(HISTOGRAM, "commit_seconds", "Time of transactions", labels=())
    @feeds(HISTOGRAM, "batch_operations", "Writes in a transaction", labels=(), buckets=SIZES)
    def committed(self, operations: int, seconds: float) -> None:
        """A transaction with so many writes was committed in so long."""

    @feeds(HISTOGRAM, "loop_lag_seconds", "Time until the event loop answers")
    def loop_lagged(self, seconds: float) -> None:
        """The event loop took so long to answer; it is asked about ten times a second."""

    @feeds(TABLE, "certificate_expires_timestamp_seconds", "End of the certificate of server.tls", labels=())
    def certificate_found(self, end: Mapping[tuple[()], float]) -> None:
        """The certificate in use ends at this time."""

    @feeds(GAUGE, "build_info", "The gateway's version; the value is 1")
    def built(self, version: str, one: int) -> None:
        """The gateway has this version."""

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
    """Feeds the declared metrics. prometheus_client makes the histograms, and the metrics of the process."""

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        self.labels: dict[str, Sequence[str]] = {}
        """The labels of each declared metric, by its full name."""
        self._series: dict[str, Series | Summary] = {}
        for name in EVENTS:
            event = getattr(Observer, name)
            _, *parameters = inspect.signature(event).parameters
            if feeds := [self._make_feed(metric, parameters) for metric in getattr(event, "metrics", ())]:
                setattr(self, name, feeds[0] if len(feeds) == 1 else feed_all(feeds))
        prometheus.ProcessCollector(registry=self.registry)
        prometheus.PlatformCollector(registry=self.registry)

    def _make_feed(self, metric: Metric, parameters: Sequence[str]) -> Callable[..., None]:
        """Return the function that takes an event's values and feeds a metric."""
        labels = metric.labels
        if labels is None:
            labels = tuple(parameters if metric.kind is COUNTER else parameters[:-1])
        self.labels[metric.full_name] = labels
        if metric.kind is HISTOGRAM:
            return self._make_histogram(metric, labels, parameters)
        if metric.kind is SUMMARY:
            summary = self._series[metric.name] = Summary(metric.full_name, metric.help, labels)
            return lambda *values: summary.observe(values[:-1], values[-1])
        kind = "counter" if metric.kind is COUNTER else "gauge"
        first = {(): 0.0} if not labels and metric.kind is not TABLE else None
        series = self._series[metric.name] = Series(kind, metric.full_name, metric.help, labels, first)
        if metric.kind is COUNTER:
            return lambda *values: series.add(values)
        if metric.kind is TABLE:
            return series.replace
        return lambda *values: series.set(values[:-1], values[-1])

    def _make_histogram(self, metric: Metric, labels: Sequence[str], parameters: Sequence[str]) -> Callable[..., None]:
        """Return the function that feeds a histogram. Its value is the event's parameter that the name ends with."""
        made = prometheus.Histogram(
            metric.full_name, metric.help, labels, registry=self.registry, buckets=metric.buckets
        )
        places = [parameters.index(label) for label in labels]
        value = next(place for place, name in enumerate(parameters) if metric.name.endswith(name))
        # prometheus_client looks children up under a lock, at each event; it keeps them all, so a cache may too.
        children: dict[tuple[Any, ...], Any] = {} if labels else {(): made}

        def observe(*values: Any) -> None:
            key = tuple([values[place] for place in places])
            child = children.get(key)
            if child is None:
                child = children[key] = made.labels(*key)
            child.observe(values[value])

        return observe

    def route_gone(self, account: str, route: str, sink: str) -> None:
        series = self._series["route_state"]
        assert isinstance(series, Series)
        series.remove((account, route, sink))

    def exposition(self) -> bytes:
        """Return all counts in Prometheus' text format. It may be called on any thread."""
        text = "".join([series.text() for series in self._series.values()])
        return bytes(prometheus.generate_latest(self.registry)) + text.encode()


def feed_all(feeds: Sequence[Callable[..., None]]) -> Callable[..., None]:
    """Return a function that feeds several metrics."""

    def feed(*values: Any) -> None:
        for one in feeds:
            one(*values)

    return feed
