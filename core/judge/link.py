"""What a transport says of a server and of a call to it, and what it keeps about a call on its way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar

from .endpoint import CallError

T = TypeVar("T")


@dataclass(frozen=True)
class Sent(Generic[T]):
    """What a call brought, after how many attempts; ``latency_s`` is the time of the one that was answered."""

    value: T
    attempts: int
    latency_s: float


@dataclass(frozen=True)
class LinkState:
    """How the connection to a server stands."""

    open: bool
    """The breaker is open: an outage."""
    since_s: float
    """Seconds that the outage has lasted."""
    reason: str
    next_probe_s: float
    """Seconds until the server is tried again; 0 while it is being tried."""
    in_flight: int
    limit: int
    """Calls that may be in flight."""
    fatal: str
    """What a person must mend before anything is sent again; empty if nothing."""


class Job:
    """One call on its way."""

    def __init__(self, number: int, patience_s: float) -> None:
        self.number = number
        self.place = number
        self.left_s = patience_s
        self.attempts = 0
        self.failures = 0
        self.outages = 0
        self.clock: asyncio.Timeout | None = None
        """Ends its wait in line while an outage counts."""
        self._since: float | None = None

    def start_clock(self, now: float) -> None:
        """From now on waiting costs patience."""
        if self.clock is not None and self._since is None and not self.clock.expired():
            self.clock.reschedule(now + max(0.0, self.left_s))
            self._since = now

    def stop_clock(self, now: float) -> None:
        """From now on waiting is free."""
        if self._since is None:
            return
        if self.clock is not None and not self.clock.expired():
            self.clock.reschedule(None)
        self.left_s -= now - self._since
        self._since = None


def again(error: CallError, attempts: int) -> CallError:
    """The same error for another call."""
    copy = CallError(
        error.kind,
        str(error),
        http_status=error.http_status,
        code=error.code,
        param=error.param,
        retry_after_s=error.retry_after_s,
        request_id=error.request_id,
    )
    copy.attempts = attempts
    return copy
