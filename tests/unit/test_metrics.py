"""Observers: the base does nothing, Prometheus counts, and one that fails breaks no delivery."""

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from gateway import metrics
from gateway.metrics import Observer, PrometheusObserver, guard

VALUES = {
    "signal_received": ("bookshop", 200, 0.02),
    "signal_accepted": ("bookshop",),
    "signal_duplicated": ("bookshop",),
    "signal_held": ("bookshop",),
    "signal_quarantined": ("bookshop",),
    "type_unknown": ("bookshop",),
    "bad_key": ("-",),
    "body_damaged": ("bookshop",),
    "connections_open": ("public", 7),
    "connection_refused": ("public", "address"),
    "delivery_attempted": ("bookshop", "erp", "odoo", "delivered", 0.3),
    "sink_blocked": ("shop", "erp", "odoo", 0.3),
    "order_looked_up": ("bookshop", "erp", "odoo", "known"),
    "store_failed": (),
    "clock_ahead": (3600.0,),
    "log_lines_dropped": (3,),
    "route_state": ("bookshop", "erp", "odoo", 2),
    "route_gone": ("bookshop", "gone", "odoo"),
    "config_loaded": (True,),
    "pending_found": ({("bookshop", "erp"): 4},),
    "oldest_pending_found": ({("bookshop", "erp"): 60.5},),
    "dead_letters_found": ({("bookshop", "erp"): 2},),
    "quarantine_found": ({("bookshop",): 3},),
    "open_alerts_found": ({("bookshop", "quiet", "warning"): 1},),
    "key_ends_found": ({("bookshop", "main"): 1_800_000_000.0},),
    "key_uses_found": ({("bookshop", "main"): 1_790_000_000.0},),
    "store_looked_at": (0.25,),
    "committed": (16, 0.004),
    "loop_lagged": (0.02,),
    "certificate_found": ({(): 1_900_000_000.0},),
    "built": ("1.0", 1),
    "keys_ending": (2,),
}


def samples(observer: Observer) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(observer.exposition().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_all_events_are_known_here() -> None:
    assert set(metrics.EVENTS) == set(VALUES)


def test_each_event_feeds_a_metric_but_the_end_of_a_route() -> None:
    assert [name for name in metrics.EVENTS if not hasattr(getattr(Observer, name), "metrics")] == ["route_gone"]


@pytest.mark.parametrize("event", metrics.EVENTS)
def test_the_base_does_nothing(event: str) -> None:
    observer = Observer()
    assert getattr(observer, event)(*VALUES[event]) is None
    assert observer.exposition() == b""


def test_events_are_counted() -> None:
    observer = PrometheusObserver()
    observer.route_state("bookshop", "gone", "odoo", 0)
    for event, values in VALUES.items():
        getattr(observer, event)(*values)
        getattr(observer, event)(*values)
    found = samples(observer)
    account = (("account", "bookshop"),)
    for name in ("accepted", "duplicate", "held", "quarantined", "unknown_type"):
        assert found[f"cloudsignal_signals_{name}_total", account] == 2
    assert found["cloudsignal_bad_keys_total", (("account", "-"),)] == 2
    assert found["cloudsignal_connections", (("listener", "public"),)] == 7
    assert found["cloudsignal_connections_refused_total", (("listener", "public"), ("reason", "address"))] == 2
    assert found["cloudsignal_store_failures_total", ()] == 2
    assert found["cloudsignal_clock_ahead_seconds", ()] == 3600
    assert found["cloudsignal_log_lines_dropped", ()] == 3
    assert found["cloudsignal_route_state", (*account, ("route", "erp"), ("sink", "odoo"))] == 2
    assert not [labels for name, labels in found if ("route", "gone") in labels]
    assert found["cloudsignal_config_last_reload_successful", ()] == 1
    assert found["cloudsignal_keys_ending", ()] == 2
    assert found["cloudsignal_request_seconds_count", (*account, ("code", "200"))] == 2
    labels = (*account, ("outcome", "delivered"), ("route", "erp"), ("sink", "odoo"))
    assert found["cloudsignal_attempt_seconds_count", labels] == 2
    assert found["cloudsignal_attempt_seconds_sum", labels] == pytest.approx(0.6)
    latency = (("le", "0.5"), ("outcome", "delivered"), ("sink", "odoo"))
    assert found["cloudsignal_attempt_latency_seconds_bucket", latency] == 2
    assert found["cloudsignal_request_latency_seconds_count", (("code", "200"),)] == 2
    erp = (*account, ("route", "erp"))
    assert found["cloudsignal_deliveries_pending", erp] == 4
    assert found["cloudsignal_oldest_pending_seconds", erp] == 60.5
    assert found["cloudsignal_dead_letters", erp] == 2
    assert found["cloudsignal_quarantined_requests", account] == 3
    alert = (*account, ("alert", "quiet"), ("severity", "warning"))
    assert found["cloudsignal_alerts_open", tuple(sorted(alert))] == 1
    key = (*account, ("key", "main"))
    assert found["cloudsignal_key_expires_timestamp_seconds", key] == 1_800_000_000
    assert found["cloudsignal_key_last_used_timestamp_seconds", key] == 1_790_000_000
    assert found["cloudsignal_certificate_expires_timestamp_seconds", ()] == 1_900_000_000
    assert found["cloudsignal_store_look_seconds", ()] == 0.25
    assert found["cloudsignal_batch_operations_sum", ()] == 32
    assert found["cloudsignal_commit_seconds_count", ()] == 2
    assert found["cloudsignal_loop_lag_seconds_count", ()] == 2
    assert found["cloudsignal_build_info", (("version", "1.0"),)] == 1
    assert found["process_resident_memory_bytes", ()] > 0


def test_a_table_forgets_what_is_no_longer_found() -> None:
    observer = PrometheusObserver()
    observer.dead_letters_found({("bookshop", "erp"): 2, ("bookshop", "export"): 1})
    observer.dead_letters_found({("bookshop", "export"): 3})
    found = {labels: value for (name, labels), value in samples(observer).items() if name == "cloudsignal_dead_letters"}
    assert found == {(("account", "bookshop"), ("route", "export")): 3}


def test_an_event_before_its_first_value_shows_nothing_false() -> None:
    found = samples(PrometheusObserver())
    assert found["cloudsignal_store_failures_total", ()] == 0
    assert not [name for name, _ in found if "certificate" in name or "pending" in name]


def test_no_histogram_has_a_label_with_ten_thousand_values() -> None:
    histograms = [
        metric
        for name in metrics.EVENTS
        for metric in getattr(getattr(Observer, name), "metrics", ())
        if metric.kind is metrics.HISTOGRAM
    ]
    observer = PrometheusObserver()
    assert histograms
    assert not [each.name for each in histograms if {"account", "route"} & set(observer.labels[each.full_name])]


def test_a_route_that_comes_back_is_counted_again() -> None:
    observer = PrometheusObserver()
    route = ("bookshop", "erp", "odoo")
    observer.route_state(*route, 0)
    observer.route_gone(*route)
    observer.route_state(*route, 3)
    labels = (("account", "bookshop"), ("route", "erp"), ("sink", "odoo"))
    assert samples(observer)["cloudsignal_route_state", labels] == 3


def test_observers_do_not_share_counts() -> None:
    first, second = PrometheusObserver(), PrometheusObserver()
    first.signal_accepted("bookshop")
    assert not [name for name, labels in samples(second) if dict(labels).get("account")]


class Broken(Observer):
    def __init__(self) -> None:
        self.calls = 0

    def signal_accepted(self, account: str) -> None:
        self.calls += 1
        raise ZeroDivisionError


@pytest.mark.parametrize("event", metrics.EVENTS)
def test_a_guarded_observer_is_told_everything(event: str) -> None:
    heard = []
    observer = Observer()
    setattr(observer, event, lambda *values: heard.append(values))
    getattr(guard(observer), event)(*VALUES[event])
    assert heard == [VALUES[event]]


def test_a_broken_observer_is_logged_and_goes_no_further() -> None:
    broken = Broken()
    with capture_logs() as logs:
        guard(broken).signal_accepted("bookshop")
    assert broken.calls == 1
    assert [(line["event"], line["method"]) for line in logs] == [("observer.failed", "signal_accepted")]


def test_a_guarded_observer_still_shows_its_counts() -> None:
    observer = PrometheusObserver()
    guarded = guard(observer)
    guarded.signal_accepted("bookshop")
    assert b'cloudsignal_signals_accepted_total{account="bookshop"} 1.0' in guarded.exposition()
