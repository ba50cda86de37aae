"""Observers: told what happens, they count it. The base does nothing; one that fails breaks nothing, see `guard`."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import prometheus_client as prometheus
import structlog

log = structlog.get_logger()

Metric = TypeVar("Metric", prometheus.Counter, prometheus.Histogram)

NO_ACCOUNT = "-"
"""Stands for an account that is not configured, so that a stranger can't make labels."""

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds in seconds, from a request's answer to a sink's time limit."""


class Observer:
    """What can be told. Override what you care for; be quick, for you are called on the event loop.

    `seconds` are durations. Accounts that are not configured are told as `NO_ACCOUNT`.
    """

    def signal_received(self, account: str, code: int, seconds: float) -> None:
        """A request was answered."""

    def signal_accepted(self, account: str) -> None:
        """A new signal is on disk."""

    def signal_duplicated(self, account: str) -> None:
        """A signal came again; nothing was written."""

    def signal_held(self, account: str) -> None:
        """A new signal is on disk, held until its order is known."""

    def signal_quarantined(self, account: str) -> None:
        """A request with a right key was no valid signal, and was kept aside."""

    def type_unknown(self, account: str) -> None:
        """A signal's type is none that the gateway knows."""

    def bad_key(self, account: str) -> None:
        """A key was wrong or missing."""

    def delivery_attempted(self, account: str, route: str, sink: str, outcome: str, seconds: float) -> None:
        """An attempt ended; `outcome` is a gateway.model.Kind."""

    def store_failed(self) -> None:
        """A transaction failed, and with it every write in it."""

    def clock_ahead(self, seconds: float) -> None:
        """How far the computer's clock is ahead of the gateway's, which does not follow its jumps at once."""

    def route_state(self, account: str, route: str, sink: str, status: int) -> None:
        """A route's state, at the start and when it changes; `status` is a gateway.policy.Status."""

    def route_gone(self, account: str, route: str, sink: str) -> None:
        """A route is not at work any more: the gateway stops, or its config has changed."""

    def config_loaded(self, good: bool) -> None:
        """The config was read, at the start or by a reload; where it was not good, the last one holds."""

    def exposition(self) -> bytes:
        """All that was counted, in Prometheus' text format."""
        return b""


EVENTS = tuple(name for name in vars(Observer) if not name.startswith("_") and name != "exposition")


def guard(observer: Observer) -> Observer:
    """The same observer, but its exceptions are logged and go no further."""
    guarded = Observer()
    for name in EVENTS:
        setattr(guarded, name, _quiet(name, getattr(observer, name)))
    guarded.exposition = observer.exposition  # type: ignore[method-assign]
    return guarded


def _quiet(event: str, tell: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(tell)
    def told(*values: Any) -> None:
        try:
            tell(*values)
        except Exception:
            log.exception("observer.failed", told=event)

    return told


def kept(metric: Metric) -> Metric:
    """The same, but quick to find the child of labels that it has seen: it keeps them all anyway."""
    metric.labels = functools.cache(metric.labels)  # type: ignore[method-assign]
    return metric


class PrometheusObserver(Observer):
    """Counts for Prometheus, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        self._requests = self._histogram("request_seconds", "Requests for signals, by answer", "account", "code")
        self._accepted = self._counter("signals_accepted", "New signals on disk", "account")
        self._duplicates = self._counter("signals_duplicate", "Signals that came again", "account")
        self._held = self._counter("signals_held", "New signals of orders not known yet", "account")
        self._quarantined = self._counter("signals_quarantined", "Requests kept aside as no valid signal", "account")
        self._unknown = self._counter("signals_unknown_type", "Signals of a type not known", "account")
        self._bad_keys = self._counter("bad_keys", "Requests with a wrong or missing key", "account")
        self._attempts = self._histogram(
            "attempt_seconds", "Attempts to deliver, by outcome", "account", "route", "sink", "outcome"
        )
        self._route_states = prometheus.Gauge(
            "route_state",
            "0 running, 1 paused, 2 open (failing, probed), 3 misconfigured",
            ("account", "route", "sink"),
            namespace="cloudsignal",
            registry=self.registry,
        )
        self._config = prometheus.Gauge(
            "config_last_reload_successful",
            "Whether the last reload was taken up",
            namespace="cloudsignal",
            registry=self.registry,
        )
        self._failures = self._counter("store_failures", "Transactions that failed")
        self._ahead = prometheus.Gauge(
            "clock_ahead_seconds",
            "The computer's clock before the gateway's",
            namespace="cloudsignal",
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, *labels: str) -> prometheus.Counter:
        return kept(prometheus.Counter(name, text, labels, namespace="cloudsignal", registry=self.registry))

    def _histogram(self, name: str, text: str, *labels: str) -> prometheus.Histogram:
        return kept(
            prometheus.Histogram(name, text, labels, namespace="cloudsignal", registry=self.registry, buckets=LATENCIES)
        )

    def signal_received(self, account: str, code: int, seconds: float) -> None:
        self._requests.labels(account, str(code)).observe(seconds)

    def signal_accepted(self, account: str) -> None:
        self._accepted.labels(account).inc()

    def signal_duplicated(self, account: str) -> None:
        self._duplicates.labels(account).inc()

    def signal_held(self, account: str) -> None:
        self._held.labels(account).inc()

    def signal_quarantined(self, account: str) -> None:
        self._quarantined.labels(account).inc()

    def type_unknown(self, account: str) -> None:
        self._unknown.labels(account).inc()

    def bad_key(self, account: str) -> None:
        self._bad_keys.labels(account).inc()

    def delivery_attempted(self, account: str, route: str, sink: str, outcome: str, seconds: float) -> None:
        self._attempts.labels(account, route, sink, outcome).observe(seconds)

    def route_state(self, account: str, route: str, sink: str, status: int) -> None:
        self._route_states.labels(account, route, sink).set(status)

    def route_gone(self, account: str, route: str, sink: str) -> None:
        with contextlib.suppress(KeyError):
            self._route_states.remove(account, route, sink)

    def config_loaded(self, good: bool) -> None:
        self._config.set(good)

    def store_failed(self) -> None:
        self._failures.inc()

    def clock_ahead(self, seconds: float) -> None:
        self._ahead.set(seconds)

    def exposition(self) -> bytes:
        return prometheus.generate_latest(self.registry)
