"""Tells an outage from bad luck: after several failures in a row calls are held back, and one at a time is let through
to see whether the server is back.

Times are seconds of the event loop's clock.
"""

from __future__ import annotations

import math

from .endpoint import CallError

Admission = int
"""How a call was let through: 0 as one of many, else the number of the probe that it is."""

OPENS_AFTER = 5
"""Failures in a row, of whichever calls."""
PROBES_S = (15.0, 30.0, 60.0)
"""From one probe to the next; the last one is repeated."""
LONGEST_RETRY_AFTER_S = 60.0
"""A server that asks for a longer pause is taken to be out of service for that time."""
THROTTLED_S = 30.0
"""A 429 comes from a server that is well: only that long without a single reply is an outage."""


class Breaker:
    """Closed: every call may go. Open: none may, but for one probe at a time. One reply closes it."""

    def __init__(self) -> None:
        self.open = False
        self.opened_at = 0.0
        self.next_probe_at = 0.0
        self.reason = ""
        self.last: CallError | None = None
        """The failure that opened it, or the last one since."""
        self.outages = 0
        self._admitted = 0
        self._close()

    def _close(self) -> None:
        self.open = False
        self.reason = ""
        self.last = None
        self._probes = 0
        self._probe: Admission = 0
        self._probe_began = 0.0
        self._failures = 0
        self._hard_failures = 0
        self._first_failure_at = 0.0
        self._failed_calls: set[int] = set()

    @property
    def few_calls_failed(self) -> bool:
        """Nothing has been answered since, but so few calls failed that the fault may lie in them."""
        return len(self._failed_calls) < OPENS_AFTER

    def wait_s(self, now: float) -> float:
        """Seconds until the next call may be let through; infinity while a probe is under way."""
        if not self.open:
            return 0.0
        return max(0.0, self.next_probe_at - now) if not self._probe else math.inf

    def admit(self, now: float) -> Admission:
        """A call goes now. Only to be called when ``wait_s`` is 0."""
        if not self.open:
            return 0
        self._admitted += 1
        self._probe, self._probe_began = self._admitted, now
        return self._probe

    def answered(self) -> None:
        """The server replied: with a result, or with an error that says it is at work."""
        if self.open or self._failures:
            self._close()

    def withdrawn(self, admission: Admission) -> None:
        """A call ended without a word about the server: cancelled, or never sent."""
        if admission == self._probe:
            self._probe = 0

    def failed(self, error: CallError, call: int, admission: Admission, now: float) -> None:
        """Count a failure of ``call`` (any number that tells calls apart)."""
        if not self._failures:
            self._first_failure_at = now
        self._failures += 1
        self._hard_failures += error.kind != "rate_limited"
        if self.few_calls_failed:
            self._failed_calls.add(call)
        pause_s = error.retry_after_s or 0.0
        if not self.open:
            throttled_out = self._failures >= OPENS_AFTER and now - self._first_failure_at >= THROTTLED_S
            if pause_s > LONGEST_RETRY_AFTER_S:
                self._open(error, now, f"the server asks to be left alone for {pause_s:.0f} s")
            elif self._hard_failures >= OPENS_AFTER or throttled_out:
                self._open(error, now, f"{self._failures} calls in a row failed")
        elif admission and admission == self._probe:
            self._probe_failed(error, now)
        if self.open and pause_s > 0:
            self.next_probe_at = max(self.next_probe_at, now + pause_s)

    def reset(self, now: float) -> None:
        """Somebody says that the server is back: the next call goes at once, as a probe."""
        if self.open:
            self.next_probe_at = now
            self._probes = 0

    def _open(self, error: CallError, now: float, why: str) -> None:
        self.open = True
        self.outages += 1
        self.opened_at = now
        self.last = error
        self.reason = f"{why}; the last answer: {error}"
        self.next_probe_at = now + PROBES_S[0]

    def _probe_failed(self, error: CallError, now: float) -> None:
        self._probe = 0
        self._probes += 1
        self.last = error
        self.reason = f"{self._failures} calls in a row failed; the last answer: {error}"
        # from the start of the probe, or one that hangs would put off the next by its timeout
        self.next_probe_at = max(now, self._probe_began + PROBES_S[min(self._probes, len(PROBES_S) - 1)])
