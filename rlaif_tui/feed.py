"""From run directory to ``RunState``: what the events say, what was asked, and whether a worker is alive."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from core.commands import CommandError
from core.journal import CommandReader, EventReader
from core.run_dir import RunDir, is_alive

from .run_state import RunState
from .state import apply_all, ask

SILENCE_S = 60.0
"""A live worker writes at least a heartbeat every five seconds; silent for this long, it is called lost."""
BIRTH_S = 60.0
"""A run without any event is starting, not crashed, while its directory is younger than this."""
_LOG_BYTES = 64 * 1024


class RunFeed:
    """Follows one run. ``poll`` returns the same object as before when nothing has changed."""

    def __init__(self, run: RunDir, now: Callable[[], float] = time.time) -> None:
        self.run = run
        self._now = now
        self._reset()

    def _reset(self) -> None:
        self._events = EventReader(self.run.events)
        self._commands = CommandReader(self.run.commands)
        self._folded = RunState(name=self.run.name)
        self._shown = self._folded
        self._key: tuple[object, ...] = ()
        self._file: tuple[int, int] | None = None

    def poll(self) -> RunState:
        """Read what is new and return the run's state. Raises ``OSError`` if the run cannot be read."""
        # The lock first: a worker that ends in order writes its last event and only then lets go of the lock.
        alive = is_alive(self.run)
        self._restart_if_replaced()
        while events := self._events.read():
            self._folded = apply_all(self._folded, events)
        for received in self._commands.read():
            if not isinstance(received.command, CommandError):
                self._folded = ask(self._folded, received.command)
        silent = int(self._now() - self._folded.last_time) if alive and self._folded.last_time else 0
        silent = silent if silent >= SILENCE_S else 0
        newborn = not self._folded.last_time and self._age() < BIRTH_S
        key = (self._folded, alive, silent, newborn, self._events.damaged)
        if not _same(key, self._key):
            self._key = key
            self._shown = self._judge(alive, silent, newborn)
        return self._shown

    def _restart_if_replaced(self) -> None:
        try:
            info = os.stat(self.run.events)
        except FileNotFoundError:
            return
        if self._file and (info.st_ino != self._file[0] or info.st_size < self._file[1]):
            self._reset()
        self._file = (info.st_ino, info.st_size)

    def _age(self) -> float:
        try:
            return self._now() - self.run.config.stat().st_mtime
        except FileNotFoundError:
            return BIRTH_S

    def _judge(self, alive: bool, silent: int, newborn: bool) -> RunState:
        state = replace(self._folded, damaged=self._events.damaged)
        if alive:
            return replace(state, lost=silent > 0, silent_s=float(silent))
        if state.finished is not None or newborn:
            return replace(state, pid=None, pending=())
        return replace(state, word="crashed", pid=None, pending=(), error=self._cause(state))

    def _cause(self, state: RunState) -> str:
        """Why a worker is gone that wrote no last event, as far as can be known."""
        lines = [line for line in log_tail(self.run.log) if line.strip()]
        said = f"; worker.log ends: {lines[-1].strip()}" if lines else ""
        if not state.last_time:
            return f"the worker never wrote an event{said}"
        return f"the worker is gone without a last word, in phase {state.phase} of step {state.phase_step}{said}"


def _same(new: tuple[object, ...], old: tuple[object, ...]) -> bool:
    # The fold returns a new object for every event, so identity tells change without comparing histories.
    return len(new) == len(old) and new[0] is old[0] and new[1:] == old[1:]


def log_tail(path: Path, lines: int = 500) -> list[str]:
    """The last lines of a text file, decoded leniently and as they are; [] if there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LOG_BYTES))
            data = file.read(_LOG_BYTES)
    except FileNotFoundError:
        return []
    text = data.decode("utf-8", "replace")
    if size > _LOG_BYTES:
        text = text.partition("\n")[2]
    return text.splitlines()[-lines:]
