"""How fast an app may speak in a workspace: shared by all routes that speak as it."""

from __future__ import annotations

from gateway.sink import RetryLater

SPACING = 1.0
"""Seconds between messages: Slack allows one a second to a channel (docs: Rate limits)."""
LONGEST_PAUSE = 3600.0
LONGEST_TURN = 20.0
"""Seconds to wait for a channel's turn; who would wait longer comes again then."""


class Workspace:
    """The app's next turn in each channel, and Slack's pause, which holds for all of them. Times are the caller's."""

    def __init__(self) -> None:
        self._turns: dict[str, float] = {}
        self._closed_until = float("-inf")

    def respect_pause(self, now: float) -> None:
        """RetryLater, without a call, while Slack wants none: those who keep calling are shut out for longer."""
        if now < self._closed_until:
            raise RetryLater("Slack asked for a pause", self._closed_until - now)

    def pause(self, now: float, seconds: float) -> None:
        """Slack answered 429 and asked for a wait."""
        self._closed_until = max(self._closed_until, now + min(seconds, LONGEST_PAUSE))

    def take_turn(self, channel: str, now: float) -> float:
        """Take the channel's next turn: in how many seconds it is."""
        self.respect_pause(now)
        wait = max(0.0, self._turns.get(channel, now) - now)
        if wait > LONGEST_TURN:
            raise RetryLater("other routes are posting to this channel", wait, healthy=True)
        self._turns[channel] = now + wait + SPACING
        return wait


class Burst:
    """How many signals a channel was told in the last minute, and when it may have its next digest."""

    MINUTE = 60.0

    def __init__(self) -> None:
        self._told: list[tuple[float, int]] = []
        self._digest_at = float("-inf")

    def recent(self, now: float) -> int:
        self._told = [(at, count) for at, count in self._told if at > now - self.MINUTE]
        return sum(count for _, count in self._told)

    def note(self, now: float, count: int) -> None:
        self._told.append((now, count))

    def wait_for_digest(self, now: float) -> float:
        """Seconds until the next digest: one a minute while the burst lasts."""
        return max(0.0, self._digest_at - now)

    def note_digest(self, now: float) -> None:
        self._digest_at = now + self.MINUTE
