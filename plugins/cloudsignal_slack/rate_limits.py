"""Slack's rate limits and the count for digests. All routes that post as one app share a Workspace."""

from __future__ import annotations

from gateway.sink import RetryLater

SECONDS_BETWEEN_MESSAGES = 1.0
"""Slack allows one message per second and channel (docs: Rate limits)."""
MAX_PAUSE = 3600.0
"""Seconds of a pause at most, whatever Retry-After says: a mistake of Slack's must not stop a route for days."""
MAX_TURN_WAIT = 20.0
"""Seconds that an attempt waits for its channel's turn. With more to wait, it is retried later, below its timeout."""


class Workspace:
    """The app's next turn in each channel, and a pause of all channels if Slack asked for one. `now` is in seconds."""

    def __init__(self) -> None:
        self._turns: dict[str, float] = {}
        self._closed_until = float("-inf")

    def respect_pause(self, now: float) -> None:
        """Raise RetryLater during a pause. Slack blocks an app for longer if it calls on."""
        if now < self._closed_until:
            raise RetryLater("Slack asked for a pause", self._closed_until - now)

    def pause(self, now: float, seconds: float) -> None:
        """Start a pause, after Slack answered 429."""
        self._closed_until = max(self._closed_until, now + min(seconds, MAX_PAUSE))

    def reserve_turn(self, channel: str, now: float) -> float:
        """Reserve the channel's next turn and return the seconds until then."""
        self.respect_pause(now)
        wait = max(0.0, self._turns.get(channel, now) - now)
        if wait > MAX_TURN_WAIT:
            raise RetryLater("other routes are posting to this channel", wait, healthy=True)
        self._turns[channel] = now + wait + SECONDS_BETWEEN_MESSAGES
        return wait


class Burst:
    """The number of signals posted to a channel in the last minute, and the time of its next digest."""

    MINUTE = 60.0

    def __init__(self) -> None:
        self._posted: list[tuple[float, int]] = []
        self._digest_at = float("-inf")

    def recent(self, now: float) -> int:
        """Return the number of signals posted within the last minute."""
        self._posted = [(at, count) for at, count in self._posted if at > now - self.MINUTE]
        return sum(count for _, count in self._posted)

    def add(self, now: float, count: int) -> None:
        """Count posted signals."""
        self._posted.append((now, count))

    def wait_for_digest(self, now: float) -> float:
        """Return the seconds until the next digest. During a burst there is one per minute."""
        return max(0.0, self._digest_at - now)

    def add_digest(self, now: float) -> None:
        """Put the next digest a minute from now."""
        self._digest_at = now + self.MINUTE
