"""Decides how long the writer waits for more operations before it writes the operations that it has.

Group commit pays only if operations come together: each transaction costs as much as ten signals do, and an fsync.
"""

from __future__ import annotations

import asyncio
import enum
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.store.operations import Step

GATHER_SECONDS = 0.004
"""Longest wait for other operations to join a batch. It bounds the cost of a wrong guess for a sender."""
RUSH = 16
"""Senders that wait at once from which on accepts wait for each other. A sender that waits for each answer before its
next signal makes no rush."""


class Priority(enum.Enum):
    """Urgency of an operation."""

    ACK = "ack"
    """A sender waits for the answer. The queue is bounded for these, and they have transactions of their own."""
    NORMAL = "normal"
    """Written with the next batch."""
    PATIENT = "patient"
    """May wait GATHER_SECONDS for others, such as results of deliveries: one by one they would be an fsync each."""


@dataclass(slots=True, eq=False)
class Operation:
    """One call of the store. `waiting_senders` is the number of unanswered ACK operations when it came, with it."""

    step: Step
    item: Any
    future: asyncio.Future[Any]
    priority: Priority
    waiting_senders: int


Waiting = queue.SimpleQueue[Operation | None]
"""Operations on their way from the event loop to the writer's thread; None ends the thread."""


class Batching:
    """Takes operations from the queue in batches. It belongs to the writer's thread; the event loop calls `arrived`.

    The thread alone uses `_expected` and `_gathered_at`. Facts about the event loop come through the queue,
    in the operations. Three fields are shared, for the wake-up: `_wake` (an Event), `_closing` and `_enough`.
    """

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._wake = threading.Event()
        self._closing = False
        self._enough = 0
        """Operations in the queue that end a wait. Race: the thread sets it, and the event loop reads it without a
        lock. A stale value wakes the thread early, or only after GATHER_SECONDS; both are harmless."""
        self._expected = 0
        """Most senders that waited at once during the last batch: they are likely to come back together."""
        self._gathered_at = float("-inf")

    # -- on the event loop

    def arrived(self, priority: Priority) -> None:
        """Wake the thread if it has waited for this operation; called after the operation was put into the queue."""
        if priority is not Priority.PATIENT and self._waiting.qsize() >= self._enough and not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """End a wait: the writer closes. Race: the thread may clear `_wake` just then, so it looks at `_closing`."""
        self._closing = True
        self._wake.set()

    # -- on the writer's thread

    def batches(self) -> Iterator[list[Operation]]:
        """Yield everything that waits, again and again, until None comes."""
        while (first := self._waiting.get()) is not None:
            self._gather(first)
            batch = [first]
            while not self._waiting.empty():
                operation = self._waiting.get()
                if operation is None:
                    self._waiting.put(None)  # this batch first, then the end
                    break
                batch.append(operation)
            self._expected = most_senders(batch) or self._expected
            yield batch

    def _gather(self, first: Operation) -> None:
        """Wait for others to join the first operation, if that pays."""
        if first.priority is Priority.ACK:
            expected = max(self._expected, first.waiting_senders)
            if expected >= RUSH:
                self._wait_for_senders(expected - 1)
        elif first.priority is Priority.PATIENT:
            # Only right after another such batch: a single result does not wait.
            self._wake.wait(max(0.0, self._gathered_at + GATHER_SECONDS - time.monotonic()))
            self._gathered_at = time.monotonic()
        self._wake.clear()

    def _wait_for_senders(self, others: int) -> None:
        """Wait until as many senders as before are back."""
        self._wake.clear()
        self._enough = others
        # Race: operations that came before `_enough` was set have woken nobody, so the queue is looked at once more.
        if self._waiting.qsize() < others and not self._closing:
            self._wake.wait(GATHER_SECONDS)
        self._enough = 0


def most_senders(batch: Sequence[Operation]) -> int:
    """Return how many senders waited at once, at most, when the batch's operations came; 0 without ACK operations."""
    return max((operation.waiting_senders for operation in batch if operation.priority is Priority.ACK), default=0)
