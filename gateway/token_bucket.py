"""Rate limits: a token bucket, and a bounded set of them by name. No clock of its own: `now` is in seconds."""

from __future__ import annotations


class TokenBucket:
    """A bucket that gains `rate` tokens a second, up to `burst`. It begins full."""

    def __init__(self, rate: float, burst: float | None = None) -> None:
        self._tokens = float("inf")
        self._filled_at = 0.0
        self.change(rate, burst)

    def change(self, rate: float, burst: float | None = None) -> None:
        """Go on with other limits. Without a burst, one second's tokens may be saved up, and at least one."""
        self.rate = rate
        self.burst = max(1.0, rate if burst is None else burst)

    def available(self, now: float) -> float:
        """Fill the bucket up to `now` and return the number of tokens. A clock that is set back takes none away."""
        gained = max(0.0, now - self._filled_at) * self.rate
        self._tokens = min(self.burst, self._tokens + gained)
        self._filled_at = now
        return self._tokens

    def delay(self, now: float, tokens: float = 1.0) -> float:
        """Return the seconds until there are so many tokens; 0 if there are."""
        return max(0.0, tokens - self.available(now)) / self.rate

    def take(self, now: float, tokens: float = 1.0) -> float:
        """Take tokens and return 0, or take none and return the seconds until there are enough."""
        delay = self.delay(now, tokens)
        if not delay:
            self._tokens -= tokens
        return delay


class TokenBuckets:
    """Token buckets by name. It keeps `limit` of them and forgets the one that was not used for longest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, name: str, rate: float, burst: float | None, now: float) -> float:
        """Take a token from a bucket with these limits and return 0, or the seconds until there is one."""
        bucket = self._buckets.pop(name, None) or TokenBucket(rate, burst)
        bucket.change(rate, burst)
        self._buckets[name] = bucket  # the most recently used is the last
        if len(self._buckets) > self._limit:
            del self._buckets[next(iter(self._buckets))]
        return bucket.take(now)
