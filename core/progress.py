"""Where the trainer is: phase, how far in it, and the seconds each phase took."""

from __future__ import annotations

import time
from collections.abc import Iterator

from .events import Event, Heartbeat, Phase, PhaseStarted

REPORT_EVERY_S = 1.0


class Progress:
    """Written by the trainer's thread; the worker's heartbeat thread may read its plain attributes."""

    def __init__(self) -> None:
        self.step = 0
        self.phase: Phase = "idle"
        self.done = 0
        self.total = 0
        self.seconds: dict[str, float] = {}
        self._since = self._reported = time.monotonic()

    def restart(self) -> None:
        """Forget the seconds per phase: a new step begins."""
        self.seconds = {}
        self.phase = "idle"
        self._since = time.monotonic()

    def begin(self, phase: Phase, step: int, total: int = 0) -> PhaseStarted:
        """Enter a phase; the time since the last change counts for the one before."""
        now = time.monotonic()
        self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + now - self._since
        self._since = now
        self.step, self.phase, self.done, self.total = step, phase, 0, total
        return PhaseStarted(step=step, phase=phase, total=total)

    def report(self, done: int) -> Iterator[Event]:
        """Note how far the phase is; an event at most once a second."""
        self.done = done
        now = time.monotonic()
        if now - self._reported >= REPORT_EVERY_S:
            self._reported = now
            yield Heartbeat(step=self.step, phase=self.phase, done=done, total=self.total)
