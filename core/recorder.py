"""Everything a worker writes while it trains, with one answer to a full disk: keep it, say so, wait, go on."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from typing import TypeVar

from .advice import AdviceWriter
from .errors import RunDirError
from .events import Event, Paused, Resumed
from .files import DISK_FULL, write_synced
from .journal import EventLog
from .rollout_log import RolloutLog
from .run_dir import RunDir
from .types import JudgedRollout, RefereeResult, Rollout, RolloutMeasures

Output = Event | Rollout | JudgedRollout | RolloutMeasures | RefereeResult
T = TypeVar("T")
BALLAST_BYTES = 1 << 20
RETRY_S = 3.0
_MEGABYTE = 1_000_000


class Recorder:
    """Sends events to the event log and rollouts to the file of their step.

    ``give_up`` is asked while the disk is full; once it says True, waiting ends with ``RunDirError``.
    """

    def __init__(
        self,
        run: RunDir,
        events: EventLog,
        give_up: Callable[[], bool] = lambda: False,
        retry_s: float = RETRY_S,
        advice: AdviceWriter | None = None,
    ) -> None:
        self._run, self._events, self.give_up, self._retry_s = run, events, give_up, retry_s
        self._advice = advice
        self.step = 0
        """Steps completed, for the events that tell of a full disk."""
        self._rollouts: RolloutLog | None = None
        with contextlib.suppress(OSError):
            self._load_ballast()

    def open_rollouts(self, log: RolloutLog) -> None:
        """Send rollouts to this file from now on."""
        self.close_rollouts()
        self._rollouts = log

    def close_rollouts(self) -> None:
        """Make the file of rollouts durable and close it."""
        if self._rollouts is not None:
            rollouts, self._rollouts = self._rollouts, None
            self.patiently(rollouts.sync)
            rollouts.close()

    def write(self, output: Output) -> None:
        """Record one output before anything is made of it."""
        if isinstance(output, Rollout | JudgedRollout | RolloutMeasures | RefereeResult):
            assert self._rollouts is not None, "rollouts come only within a step or a validation"
            rollouts = self._rollouts
            self.patiently(lambda: rollouts.append(output))
        else:
            self._write_event(output)
            for advice in self._advice.after(output) if self._advice else ():
                self._write_event(advice)

    def _write_event(self, event: Event) -> None:
        self.patiently(lambda: self._events.write(event))

    def sync(self) -> None:
        """Make all that was recorded durable."""
        if self._rollouts is not None:
            self.patiently(self._rollouts.sync)
        self.patiently(self._events.sync)

    def patiently(self, action: Callable[[], T]) -> T:
        """Do ``action``; as long as the disk is full, tell and try again every few seconds.

        ``action`` must leave nothing behind when it raises. Raises what is no matter of space, and ``RunDirError`` when
        told to give up.
        """
        told = waiting = False
        while True:
            try:
                if waiting:  # the ballast fits again: there is real room, not only what it gave up
                    self._load_ballast()
                result = action()
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
                waiting = True
                self._run.ballast.unlink(missing_ok=True)
                told = told or self._tell(Paused(step=self.step, reason=self._full(error), automatic=True))
                if self.give_up():
                    raise RunDirError(f"stopped while waiting: {self._full(error)}") from error
                time.sleep(self._retry_s)
            else:
                if told:
                    self._tell(Resumed(step=self.step))
                return result

    def close(self) -> None:
        """Close the file of rollouts and remove the ballast; the event log stays open for its owner."""
        rollouts, self._rollouts = self._rollouts, None
        with contextlib.suppress(OSError):
            if rollouts is not None:
                rollouts.close()
            self._run.ballast.unlink(missing_ok=True)

    def _tell(self, event: Event) -> bool:
        try:
            self._events.write(event)
        except OSError:
            return False
        return True

    def _full(self, error: OSError) -> str:
        free = shutil.disk_usage(self._run.path).free / _MEGABYTE
        return f"disk full ({error.strerror}; {free:.1f} MB free): make room and the run goes on by itself"

    def _load_ballast(self) -> None:
        if not self._run.ballast.exists():
            write_synced(self._run.ballast, bytes(BALLAST_BYTES))
