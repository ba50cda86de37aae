"""A metric's series and their text, as Prometheus reads it."""

from prometheus_client.parser import text_string_to_metric_families

from gateway.series import Series, Summary

ODD = 'a "b" \\ c\nd'


def parse(text: str) -> dict[tuple[str, ...], float]:
    """Return the values by the labels' values and, for a summary, the end of the name."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(*sample.labels.values(), *sample.name.split("_")[1:]): sample.value for sample in samples}


def test_any_text_may_be_a_label() -> None:
    series = Series("gauge", "keys", "The keys\nof an account", ("account", "key"))
    series.set(("shop", ODD), 3)
    series.set(("shop", "other"), 0.25)
    assert parse(series.text()) == {("shop", ODD): 3, ("shop", "other"): 0.25}


def test_a_series_is_changed_and_removed() -> None:
    series = Series("gauge", "signals", "Signals", ("account",))
    for account in ("a", "b", "a"):
        series.add((account,))
    assert parse(series.text()) == {("a",): 2, ("b",): 1}
    series.remove(("a",))
    series.remove(("nobody",))
    assert parse(series.text()) == {("b",): 1}
    series.replace({("c",): 5.0})
    assert parse(series.text()) == {("c",): 5}
    series.replace({})
    assert parse(series.text()) == {}


def test_numbers_are_written_as_they_are() -> None:
    series = Series("gauge", "n", "Numbers", ("name",))
    values = {"large": 1_800_000_000.123, "huge": 1e300, "small": 1e-9, "true": True, "endless": float("inf")}
    for name, value in values.items():
        series.set((name,), value)
    assert parse(series.text()) == {(name,): float(value) for name, value in values.items()}


def test_a_summary_counts_and_adds_up() -> None:
    summary = Summary("seconds", "Time", ("account",))
    for value in (0.5, 0.25):
        summary.observe(("shop",), value)
    assert parse(summary.text()) == {("shop", "count"): 2, ("shop", "sum"): 0.75}


def test_a_metric_without_labels_has_one_series() -> None:
    series = Series("counter", "failures", "Failures", (), {(): 0.0})
    assert series.text().endswith("\nfailures 0.0\n")
    series.add(())
    assert series.text().endswith("\nfailures 1.0\n")
