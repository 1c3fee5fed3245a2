"""What was written about a run: its events as sentences, and the worker's own log. The newest part, bounded."""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from core.events import Event, StepCompleted
from core.journal import EventReader
from core.run_dir import RunDir

from ..background import in_background
from ..run_state import Severity
from ..sentences import number, sentence
from ..state import severity_of
from ..text import one_line

LINES_KEPT = 5_000
"""Of each source; older ones are in the files."""
_BYTES = 1 << 20
"""Read of each file at first, and at most at a time."""
_LONGEST = 2_000
"""Characters kept of a line."""


@dataclass(frozen=True)
class LogLine:
    """A head such as the time, a text, and how bad it is. Both are safe to show."""

    head: str
    text: str
    severity: Severity = "info"


@dataclass(frozen=True)
class LogPage:
    """What there is now. The same object as before when nothing was added."""

    events: tuple[LogLine, ...] = ()
    worker: tuple[LogLine, ...] = ()
    problem: str = ""
    """Why something could not be read."""


class LogsDesk:
    """Follows the files of one run; each read takes what was added."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._reader: EventReader | None = None
        self._tail = Tail(run.log)
        self._events: deque[LogLine] = deque(maxlen=LINES_KEPT)
        self._worker: deque[LogLine] = deque(maxlen=LINES_KEPT)
        self._page = LogPage()

    async def read(self) -> LogPage:
        """What is known now. Never raises: a file that cannot be read is told in the page."""
        return await in_background(self._read)

    def _read(self) -> LogPage:
        problem, added = "", False
        for take in (self._take_events, self._take_worker):
            try:
                added = take() or added
            except OSError as error:
                problem = f"{error.filename or self.run.path}: {error.strerror or error}"
        if added or problem != self._page.problem:
            self._page = LogPage(tuple(self._events), tuple(self._worker), one_line(problem))
        return self._page

    def _take_events(self) -> bool:
        if self._reader is None:
            self._reader = EventReader(self.run.events)
            self._reader.offset = newest_part(self.run.events)
        restarts = self._reader.restarts
        events = self._reader.read(_BYTES)
        if self._reader.restarts != restarts:
            self._events.clear()
        lines = [line for event in events if (line := event_line(event)) is not None]
        self._events.extend(lines)
        return bool(lines)

    def _take_worker(self) -> bool:
        lines = self._tail.read()
        self._worker.extend(LogLine("", one_line(line[:_LONGEST])) for line in lines)
        return bool(lines)


def event_line(event: Event) -> LogLine | None:
    """An event as a line; None for those that say nothing to a person."""
    if isinstance(event, StepCompleted):
        m = event.metrics
        text = f"step {event.step}: score {number(m.score_mean)}, KL {number(m.kl_seq)}, ${event.cost_total_usd:.2f}"
    else:
        text = sentence(event)
    if not text:
        return None
    severity = severity_of(event)
    sign = {"info": " ", "warning": "!", "error": "✗"}[severity]
    clock = time.strftime("%H:%M:%S", time.localtime(event.time))
    return LogLine(f"{clock} {sign} ", one_line(text[:_LONGEST]), severity)


def newest_part(path: Path) -> int:
    """Offset of the first whole line in the last megabyte of a file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size <= _BYTES:
                return 0
            file.seek(size - _BYTES)
            return size - _BYTES + file.read(_BYTES).find(b"\n") + 1
    except FileNotFoundError:
        return 0


class Tail:
    """New lines of a text file, from its last megabyte on; a line is held back until it is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset: int | None = None
        self._rest = b""

    def read(self) -> list[str]:
        """Lines added since the last call, decoded leniently. Raises ``OSError`` but for a file that is not there."""
        if self._offset is None:
            self._offset = newest_part(self.path)
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    self._offset, self._rest = 0, b""
                file.seek(self._offset)
                block = file.read(_BYTES)
        except FileNotFoundError:
            return []
        self._offset += len(block)
        *whole, rest = (self._rest + block).split(b"\n")
        self._rest = rest[-_BYTES:]
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]
