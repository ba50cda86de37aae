"""Which message an order's thread hangs from, kept in the route's state."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from gateway.sink import State

SHARDS = 64
A_SHARD = 50
"""Orders remembered in each shard: as many as are cheap to write anew with each message."""


@dataclass(frozen=True, slots=True)
class Thread:
    """Where the root is: the channel's id, and the message's `ts`, by which Slack names it."""

    channel: str
    ts: str


class Threads:
    """The threads of the last few thousand orders: older ones are forgotten, and begin anew."""

    def __init__(self, state: State) -> None:
        self._state = state

    def find(self, channel: str, order: str) -> Thread | None:
        found = self._shard(channel, order).get(f"{channel} {order}")
        return Thread(*found) if found else None

    def keep(self, channel: str, order: str, thread: Thread) -> None:
        """The one used last stands last."""
        shard = {key: value for key, value in self._shard(channel, order).items() if key != f"{channel} {order}"}
        shard[f"{channel} {order}"] = [thread.channel, thread.ts]
        self._state.set(self._key(channel, order), dict([*shard.items()][-A_SHARD:]))

    def forget(self, channel: str, order: str) -> None:
        shard = dict(self._shard(channel, order))
        shard.pop(f"{channel} {order}", None)
        self._state.set(self._key(channel, order), shard)

    def _shard(self, channel: str, order: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = self._state.get(self._key(channel, order), {})
        return found

    def _key(self, channel: str, order: str) -> str:
        return f"threads:{zlib.crc32(f'{channel} {order}'.encode()) % SHARDS}"
