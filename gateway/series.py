"""Metrics with a series for each account or route, and their text for Prometheus.

With 10,000 accounts there are more than 100,000 series. A series here is an entry of a dictionary, and the text before
its value is made once. prometheus_client has an object with a lock for each, and formats labels at each scrape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

V = TypeVar("V")

Labels = tuple[Any, ...]
"""Values of a metric's labels, in the order of their names."""


class Family(Generic[V]):
    """A metric's series by their labels. The event loop changes them; another thread may read their text meanwhile."""

    def __init__(self, kind: str, name: str, help: str, labels: Sequence[str]) -> None:
        self.kind = kind
        self.name = name
        self.labels = labels
        self._head = f"# HELP {name} {escape_help(help)}\n# TYPE {name} {kind}\n"
        self._values: dict[Labels, V] = {}
        self._spelt: dict[Labels, str] = {}

    def text(self) -> str:
        """Return the metric with all its series."""
        # Race: the event loop adds series meanwhile. list() copies them within one step of the interpreter.
        return self._head + "".join([self._line(*each) for each in list(self._values.items())])

    def _line(self, labels: Labels, value: V) -> str:
        """Return the text of one series."""
        raise NotImplementedError

    def _spell(self, labels: Labels) -> str:
        spelt = self._spelt.get(labels)
        if spelt is None:
            spelt = self._spelt[labels] = spell(self.labels, labels)
        return spelt


class Series(Family[float]):
    """A counter or a gauge. `first` has the series that it begins with."""

    def __init__(
        self, kind: str, name: str, help: str, labels: Sequence[str], first: Mapping[Labels, float] | None = None
    ) -> None:
        super().__init__(kind, name, help, labels)
        self._values.update(first or {})

    def add(self, labels: Labels, by: float = 1.0) -> None:
        """Add to a series."""
        self._values[labels] = self._values.get(labels, 0.0) + by

    def set(self, labels: Labels, value: float) -> None:
        """Set the value of a series."""
        self._values[labels] = value

    def replace(self, values: Mapping[Labels, float]) -> None:
        """Replace all series."""
        self._values = dict(values)
        self._spelt = {labels: text for labels, text in self._spelt.items() if labels in values}

    def remove(self, labels: Labels) -> None:
        """Remove a series, if it is there."""
        self._values.pop(labels, None)
        self._spelt.pop(labels, None)

    def _line(self, labels: Labels, value: float) -> str:
        return f"{self.name}{self._spell(labels)} {float(value)!r}\n"


class Summary(Family[tuple[int, float]]):
    """The number and the sum of measured values, such as seconds: two series for each set of labels."""

    def __init__(self, name: str, help: str, labels: Sequence[str]) -> None:
        super().__init__("summary", name, help, labels)

    def observe(self, labels: Labels, value: float) -> None:
        """Count a value."""
        number, total = self._values.get(labels, (0, 0.0))
        self._values[labels] = number + 1, total + value

    def _line(self, labels: Labels, value: tuple[int, float]) -> str:
        spelt, (number, total) = self._spell(labels), value
        return f"{self.name}_count{spelt} {number}.0\n{self.name}_sum{spelt} {total!r}\n"


def spell(names: Sequence[str], values: Sequence[object]) -> str:
    """Return labels as Prometheus reads them, "" if there are none."""
    pairs = ",".join(f'{name}="{escape(str(value))}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
