"""The threads of orders, kept in the route's state: each is named by its root message."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from gateway.sink import State

SHARDS = 64
"""State keys that the threads are spread over, so that a change writes a 64th of them."""
ORDERS_PER_SHARD = 50
"""Orders kept per shard, so 3,200 in all. A shard of about 3 KB is written with each message."""


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread's root: the channel's id, and the message's `ts`, its name in Slack."""

    channel: str
    ts: str


class Threads:
    """The threads of the last few thousand orders. An older order gets a new thread."""

    def __init__(self, state: State) -> None:
        self._state = state

    def find(self, channel: str, order: str) -> Thread | None:
        """Return the order's thread in a channel, None if it has none or it was forgotten."""
        found = self._shard(channel, order).get(f"{channel} {order}")
        return Thread(*found) if found else None

    def keep(self, channel: str, order: str, thread: Thread) -> None:
        """Remember the order's thread as the one used last. Its shard forgets the one used first."""
        shard = {key: value for key, value in self._shard(channel, order).items() if key != f"{channel} {order}"}
        shard[f"{channel} {order}"] = [thread.channel, thread.ts]
        self._state.set(self._key(channel, order), dict([*shard.items()][-ORDERS_PER_SHARD:]))

    def forget(self, channel: str, order: str) -> None:
        """Forget the order's thread."""
        shard = dict(self._shard(channel, order))
        shard.pop(f"{channel} {order}", None)
        self._state.set(self._key(channel, order), shard)

    def _shard(self, channel: str, order: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = self._state.get(self._key(channel, order), {})
        return found

    def _key(self, channel: str, order: str) -> str:
        return f"threads:{zlib.crc32(f'{channel} {order}'.encode()) % SHARDS}"
