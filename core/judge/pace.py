"""How many calls may start per second: by a limit that was announced, or by what a server was seen to take.

Times are seconds of the event loop's clock.
"""

from __future__ import annotations

import math
from collections import deque

RATE_SHARE = 0.97
"""Used of an announced limit: with ``BURST_S`` on top, no minute has more than was announced."""
BURST_S = 0.25
PACE_WINDOW_S, PACE_COOLDOWN_S, PACE_IDLE_S = 10.0, 2.0, 5.0
PACE_CUT, PACE_GROWTH, PACE_SPEEDS_UP_S = 0.9, 0.01, 20.0


class Bucket:
    """An amount per second, given out evenly. An amount above the bucket's size is let through and paid off after."""

    def __init__(self, per_s: float) -> None:
        self.per_s = per_s
        self._level = self._size
        self._filled_at = -math.inf

    @classmethod
    def of(cls, per_minute: int) -> Bucket | None:
        """For an announced limit; None where there is none."""
        return cls(per_minute / 60 * RATE_SHARE) if per_minute else None

    @property
    def _size(self) -> float:
        return max(1.0, self.per_s * BURST_S)

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until ``amount`` may be taken."""
        if now > self._filled_at:
            self._level = min(self._size, self._level + (now - self._filled_at) * self.per_s)
            self._filled_at = now
        missing = min(amount, self._size) - self._level
        return missing / self.per_s if missing > 1e-9 * self._size else 0.0

    def take(self, amount: float) -> None:
        self._level -= amount


class Pace:
    """The rate that a server was seen to take before it refused, where nobody has announced one.

    A little less than that is sent from then on, more with time: 1 % per second, faster the longer nothing is refused.
    """

    def __init__(self) -> None:
        self._bucket: Bucket | None = None
        self._cut_at = -math.inf
        self._cut_to = 0.0
        self._began = 0.0
        self._taken: deque[float] = deque()

    def started(self, now: float, *, alone: bool) -> None:
        """A call goes; ``alone``: none is in flight, so that after a while there may just have been nothing to do."""
        if alone and (not self._taken or now > self._taken[-1] + PACE_IDLE_S):
            self._taken.clear()
            self._began = now
        self._taken.append(now)
        while self._taken[0] < now - PACE_WINDOW_S:
            self._taken.popleft()
        if self._bucket is not None:
            self._bucket.take(1)

    def refused(self, now: float) -> None:
        """The last call was one too many."""
        if self._taken:
            self._taken.pop()
        span_s = min(PACE_WINDOW_S, now - self._began)
        if span_s < PACE_COOLDOWN_S or now < self._cut_at + PACE_COOLDOWN_S:
            return
        seen = max(len(self._taken), 1) / span_s
        self._cut_to = PACE_CUT * (seen if self._bucket is None else min(seen, self._bucket.per_s))
        self._cut_at = now
        self._bucket = Bucket(self._cut_to)

    def wait_s(self, now: float) -> float:
        """Seconds until the next call may go."""
        if self._bucket is None:
            return 0.0
        calm_s = now - self._cut_at
        growth = math.exp(PACE_GROWTH * (calm_s + calm_s**2 / (2 * PACE_SPEEDS_UP_S)))
        if growth > 10:
            self._bucket = None
            return 0.0
        self._bucket.per_s = self._cut_to * growth
        return self._bucket.wait_s(1, now)
