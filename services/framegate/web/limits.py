"""Token buckets and failure counters; in memory, bounded, and for one event loop (no locks)."""

import math
from collections import OrderedDict, deque
from dataclasses import dataclass

from framegate.ports.clock import Clock

_MOST_ENTRIES = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


@dataclass(frozen=True, slots=True)
class Allowance:
    """`retry_after_s` is 0 when the request may go on."""

    remaining: int
    retry_after_s: int


class RateLimit:
    """Up to `rate_per_s` requests a second for each key, with one second's worth saved up."""

    def __init__(self, rate_per_s: float, clock: Clock) -> None:
        self._rate, self._burst, self._clock = rate_per_s, max(1.0, rate_per_s), clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    @property
    def policy(self) -> str:
        """As the field `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers)."""
        return f'"key";q={math.floor(self._burst)};w={max(1, math.ceil(self._burst / self._rate))}'

    def take(self, key: str) -> Allowance:
        """Takes one token if there is one."""
        now = self._clock.monotonic()
        bucket = self._buckets.pop(key, None) or _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled_at) * self._rate)
        bucket.filled_at = now
        self._buckets[key] = bucket  # at the end: the least recently used one goes first
        if len(self._buckets) > _MOST_ENTRIES:
            self._buckets.popitem(last=False)
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return Allowance(int(bucket.tokens), 0)
        return Allowance(0, max(1, math.ceil((1 - bucket.tokens) / self._rate)))


class FailureLimit:
    """Counts failed authentications of each address within a sliding window."""

    def __init__(self, clock: Clock, failures: int = 10, window_s: float = 300) -> None:
        self._clock, self._failures, self._window_s = clock, failures, window_s
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def fail(self, address: str) -> int:
        """Counts one; seconds to wait if there were too many already, else 0."""
        now = self._clock.monotonic()
        times = self._seen.pop(address, None) or deque(maxlen=self._failures)
        self._seen[address] = times
        if len(self._seen) > _MOST_ENTRIES:
            self._seen.popitem(last=False)
        while times and now - times[0] >= self._window_s:
            times.popleft()
        if len(times) >= self._failures:
            return max(1, math.ceil(times[0] + self._window_s - now))
        times.append(now)
        return 0

    def take_back(self, address: str) -> None:
        """What was counted last for this address was no failure."""
        if times := self._seen.get(address):
            times.pop()
