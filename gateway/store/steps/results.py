"""Rules of recording results that are the same on both databases."""

from __future__ import annotations

from collections.abc import Container, Sequence

from gateway.model import RetryAt
from gateway.store.operations import Record
from gateway.store.values import Result


def frees_head(result: Result) -> bool:
    """Return True if another delivery may now be the lane's head: the delivery has ended, or is a replay."""
    return result.delivery.replayed or not isinstance(result.decision, RetryAt)


def state_changes(items: Sequence[Record]) -> list[tuple[str, str, str, str]]:
    """Return account, route, key and value of each change of a sink's state; of one key the last value wins."""
    changes = {
        (*route, key): text for item in items for route, keys in item.state.items() for key, text in keys.items()
    }
    return [(*key, text) for key, text in changes.items()]


def count_taken(items: Sequence[Record], taken: Container[int]) -> list[int]:
    """Return how many results of each item were taken. `taken` has their places among all results."""
    counts, place = [], 0
    for item in items:
        end = place + len(item.results)
        counts.append(sum(number in taken for number in range(place, end)))
        place = end
    return counts
